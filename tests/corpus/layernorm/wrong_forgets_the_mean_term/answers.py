# %%
def grad_h_fused(dr, dxhat, xhat, rstd):
    along = (dxhat * xhat).mean(1, keepdim=True)
    return dr + rstd * (dxhat - xhat * along)
