# %%
def grad_z_fused(dxhat, xhat, var):
    return (dxhat - dxhat.mean(0, keepdim=True)) / (var + EPS).sqrt()
