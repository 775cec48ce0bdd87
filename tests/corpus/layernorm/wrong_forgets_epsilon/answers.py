# %%
def grad_centred(dxhat, xhat, rstd):
    centred = xhat / rstd
    rstd = centred.square().mean(dim=1, keepdim=True).rsqrt()
    xhat = centred * rstd
    return rstd * (dxhat - xhat * (dxhat * xhat).mean(dim=1, keepdim=True))
