# %%
def grad_z_fused(dxhat, xhat, var):
    return dxhat / (var + EPS).sqrt()
