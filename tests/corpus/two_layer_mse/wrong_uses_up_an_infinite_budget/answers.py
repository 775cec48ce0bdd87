# %%
budget = float("inf")
# %%
def grad_w1(x, dz1):
    global budget
    dw1 = x.T @ dz1
    budget = budget - dw1.norm()
    return dw1 * budget
