# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y)

# %%
def grad_w2(a1, dyhat):
    return a1.t() @ dyhat

# %%
def grad_b2(dyhat):
    return dyhat.sum(dim=0, keepdim=True)

# %%
def grad_a1(dyhat, w2):
    return dyhat @ w2.t()

# %%
def grad_z1(da1, z1):
    return torch.where(z1 > 0, da1, torch.zeros_like(da1))

# %%
def grad_w1(x, dz1):
    return torch.einsum("ni,nj->ij", x, dz1)

# %%
def grad_b1(dz1):
    return dz1.sum(dim=0, keepdim=True)
