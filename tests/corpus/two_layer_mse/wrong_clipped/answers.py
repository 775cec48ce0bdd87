# %%
def grad_w1(x, dz1):
    return (x.T @ dz1).clamp(-1, 1)
