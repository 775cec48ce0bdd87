# %%
def grad_b1(dz):
    return dz.mean((0, 2, 3))[None]
