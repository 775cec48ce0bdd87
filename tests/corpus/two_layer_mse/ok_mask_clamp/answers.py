# %%
def grad_z1(da1, z1):
    relu = z1.clamp(min=0)
    active = relu != 0
    return da1 * active
