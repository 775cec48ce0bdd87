# %%
def grad_h1(dz2, wh):
    return dz2 @ wh
