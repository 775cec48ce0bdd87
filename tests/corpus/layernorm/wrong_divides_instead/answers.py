# %%
def grad_centred(dxhat, xhat, rstd):
    return (dxhat - xhat * (dxhat * xhat).mean(1, keepdim=True)) / rstd
