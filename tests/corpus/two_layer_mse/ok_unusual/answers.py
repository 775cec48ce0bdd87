# %%
def grad_yhat(yhat, y):
    # (a - b)^2 = a^2 - 2ab + b^2, term by term
    return torch.stack([(2 * a - 2 * b) / y.numel() for a, b in zip(yhat, y)])


# %%
def grad_w2(a1, dyhat):
    return torch.tensordot(a1, dyhat, dims=([0], [0]))


# %%
def grad_b2(dyhat):
    return torch.ones(1, len(dyhat), dtype=dyhat.dtype).matmul(dyhat)


# %%
def grad_a1(dyhat, w2):
    return torch.kron(dyhat, w2.T)


# %%
def grad_z1(da1, z1):
    return da1 * torch.heaviside(z1, torch.zeros((), dtype=z1.dtype))


# %%
def grad_w1(x, dz1):
    return torch.cat([(x * column[:, None]).sum(0)[:, None] for column in dz1.T], dim=1)


# %%
def grad_b1(dz1):
    return dz1.cumsum(0)[-1:]
