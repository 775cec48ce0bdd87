# %%
def grad_z(dxhat, dvar, dmean, z, mean, var):
    return dxhat / (var + EPS).sqrt() + dvar * (z - mean) / len(z) + dmean / len(z)
