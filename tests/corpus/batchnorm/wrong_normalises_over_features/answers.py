# %%
def grad_z_fused(dxhat, xhat, var):
    along = (dxhat * xhat).mean(1, keepdim=True)
    return (dxhat - dxhat.mean(1, keepdim=True) - xhat * along) / (var + EPS).sqrt()
