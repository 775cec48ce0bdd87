# %%
def grad_w1(x, dz1):
    return (x / 255).T @ dz1
