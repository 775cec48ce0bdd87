# %%
def grad_z1(da1, z1):
    da1[z1 <= 0] = 0
    return da1
