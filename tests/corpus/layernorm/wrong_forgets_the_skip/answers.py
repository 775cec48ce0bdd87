# %%
def grad_h_fused(dr, dxhat, xhat, rstd):
    along = (dxhat * xhat).mean(1, keepdim=True)
    return rstd * (dxhat - dxhat.mean(1, keepdim=True) - xhat * along)
