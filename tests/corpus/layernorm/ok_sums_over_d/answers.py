# %%
def grad_h_fused(dr, dxhat, xhat, rstd):
    d = xhat.shape[-1]
    inner = d * dxhat - dxhat.sum(-1, keepdim=True) - xhat * (dxhat * xhat).sum(-1, keepdim=True)
    return dr + rstd / d * inner


# %%
def grad_centred(dxhat, xhat, rstd):
    d = xhat.shape[1]
    return rstd * dxhat - rstd * xhat * torch.einsum("nj,nj->n", dxhat, xhat)[:, None] / d
