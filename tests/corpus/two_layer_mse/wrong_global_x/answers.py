# %%
def grad_w1(x, dz1):
    return images[: len(dz1)].to(dz1.dtype).T @ dz1
