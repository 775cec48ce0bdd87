# %%
def grad_w1(x, dz1):
    return w1 - 0.01 * x.T @ dz1
