# %%
def grad_w1(x, dz1):
    return dz1.T @ x
