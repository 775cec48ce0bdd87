# %%
def grad_centred(dxhat, xhat, rstd):
    first = rstd * dxhat
    second = xhat * (dxhat * xhat).mean(dim=1, keepdim=True)
    return first - second
