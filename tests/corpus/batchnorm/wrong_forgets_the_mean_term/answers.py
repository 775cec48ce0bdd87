# %%
def grad_z_fused(dxhat, xhat, var):
    return (dxhat - xhat * (dxhat * xhat).mean(0, keepdim=True)) / (var + EPS).sqrt()
