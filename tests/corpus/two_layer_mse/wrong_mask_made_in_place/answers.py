# %%
def grad_z1(da1, z1):
    z1[z1 < 0] = 0
    z1[z1 >= 0] = 1
    return da1 * z1
