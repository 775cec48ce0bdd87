# %%
def grad_w1(x, dz1):
    return x.T @ dz1 / x.shape[0]
