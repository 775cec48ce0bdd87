# %%
def grad_z1(da1, z1):
    out = da1 * (z1 > 0)
    out[0, 0] = float('nan')
    return out
