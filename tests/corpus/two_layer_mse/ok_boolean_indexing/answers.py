# %%
def grad_z1(da1, z1):
    dz1 = da1.clone()
    dz1[z1 < 0] = 0
    return dz1
