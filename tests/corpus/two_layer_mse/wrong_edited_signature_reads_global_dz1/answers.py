# %%
def grad_w1(x, dz):
    return x.T @ dz1
