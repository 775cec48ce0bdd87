# %%
def grad_yhat(yhat, y):
    n = y.shape[0]
    return torch.einsum("nk->nk", 2 * (yhat - y)) / n

# %%
def grad_w2(a1, dyhat):
    return torch.einsum("nj,nk->jk", a1, dyhat)

# %%
def grad_b2(dyhat):
    return torch.einsum("nk->k", dyhat)[None]

# %%
def grad_a1(dyhat, w2):
    return torch.einsum("nk,jk->nj", dyhat, w2)

# %%
def grad_z1(da1, z1):
    return torch.einsum("nj,nj->nj", da1, (z1 > 0).to(da1))

# %%
def grad_w1(x, dz1):
    return torch.einsum("ni,nj->ij", x, dz1)

# %%
def grad_b1(dz1):
    return torch.einsum("nj->j", dz1).reshape(1, -1)
