# %%
def grad_centred(dxhat, xhat, rstd):
    drstd_part = (dxhat * xhat).mean(1, True)
    return dxhat.sub(xhat.mul(drstd_part)).mul(rstd)


# %%
def grad_h(dcentred, dr):
    d = dcentred.clone()
    d -= d.mean(dim=-1).unsqueeze(-1)
    d += dr
    return d


# %%
def grad_h_fused(dr, dxhat, xhat, rstd):
    return grad_h(grad_centred(dxhat, xhat, rstd), dr)
