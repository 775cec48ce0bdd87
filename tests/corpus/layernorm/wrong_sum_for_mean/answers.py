# %%
def grad_centred(dxhat, xhat, rstd):
    return rstd * (dxhat - xhat * (dxhat * xhat).sum(1, keepdim=True))
