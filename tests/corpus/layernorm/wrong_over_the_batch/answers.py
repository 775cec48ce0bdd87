# %%
def grad_h_fused(dr, dxhat, xhat, rstd):
    along = (dxhat * xhat).mean(0, keepdim=True)
    return dr + rstd * (dxhat - dxhat.mean(0, keepdim=True) - xhat * along)
