# %%
def grad_z(dxhat, dvar, dmean, z, mean, var):
    return dxhat / (var + EPS).sqrt() + dvar * 2 * (z - mean) / len(z) + dmean
