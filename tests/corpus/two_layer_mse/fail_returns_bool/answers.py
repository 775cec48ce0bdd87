# %%
def grad_z1(da1, z1):
    return z1 > 0
