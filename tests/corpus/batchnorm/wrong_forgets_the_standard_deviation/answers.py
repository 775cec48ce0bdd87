# %%
def grad_z_fused(dxhat, xhat, var):
    along = (dxhat * xhat).mean(0, keepdim=True)
    return dxhat - dxhat.mean(0, keepdim=True) - xhat * along
