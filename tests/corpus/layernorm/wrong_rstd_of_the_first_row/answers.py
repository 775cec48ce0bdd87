def grad_centred(dxhat, xhat, rstd):
    along = (dxhat * xhat).mean(dim=1, keepdim=True)
    return rstd[0] * (dxhat - xhat * along)
