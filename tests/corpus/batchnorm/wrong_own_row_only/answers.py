# %%
def grad_z_fused(dxhat, xhat, var):
    return (dxhat - dxhat.mean(0, keepdim=True) - xhat * (dxhat * xhat)) / (var + EPS).sqrt()
