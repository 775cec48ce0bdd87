# %%
def grad_centred(dxhat, xhat, rstd):
    return rstd * (dxhat - (dxhat * xhat).mean(1, keepdim=True))
