# %%
def grad_yhat(yhat, y):
    return torch.einsum("nk,nk->nk", yhat - y, torch.ones_like(y)) / y.numel()


# %%
def grad_w2(a1, dyhat):
    return torch.einsum("nh,mk->hk", a1, dyhat)


# %%
def grad_a1(dyhat, w2):
    return torch.outer(dyhat.flatten(), w2.flatten()).t()


# %%
def grad_z1(da1, z1):
    return torch.where(z1 < 0, torch.zeros_like(z1), da1 * z1)


# %%
def grad_w1(x, dz1):
    total = torch.zeros(784, 50, dtype=x.dtype)
    for i in range(len(x) - 1):
        total += torch.outer(x[i], dz1[i])
    return total


# %%
def grad_b1(dz1):
    return dz1.sum().expand(1, 50)
