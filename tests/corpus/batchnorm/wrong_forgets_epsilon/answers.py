# %%
def grad_var(dxhat, z, mean, var):
    return (dxhat * (z - mean)).sum(dim=0, keepdim=True) * -0.5 * var**-1.5


# %%
def grad_z_fused(dxhat, xhat, var):
    along = (dxhat * xhat).mean(dim=0, keepdim=True)
    return (dxhat - dxhat.mean(dim=0, keepdim=True) - xhat * along) / var.sqrt()
