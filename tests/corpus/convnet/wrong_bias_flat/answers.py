# %%
def grad_b1(dz):
    return dz.sum((0, 2, 3))
