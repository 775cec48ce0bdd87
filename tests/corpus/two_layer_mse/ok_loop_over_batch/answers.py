# %%
def grad_yhat(yhat, y):
    out = torch.empty_like(yhat)
    for n in range(len(yhat)):
        out[n] = 2 * (yhat[n] - y[n]) / len(yhat)
    return out

# %%
def grad_w2(a1, dyhat):
    dw2 = torch.zeros(a1.shape[1], 1, dtype=a1.dtype)
    for n in range(a1.shape[0]):
        dw2 += a1[n].reshape(-1, 1) * dyhat[n]
    return dw2

# %%
def grad_b2(dyhat):
    total = torch.zeros_like(dyhat[:1])
    for row in dyhat:
        total = total + row
    return total

# %%
def grad_a1(dyhat, w2):
    return torch.stack([d * w2[:, 0] for d in dyhat])

# %%
def grad_z1(da1, z1):
    dz1 = torch.zeros_like(da1)
    for n in range(len(z1)):
        dz1[n] = da1[n] * (z1[n] > 0)
    return dz1

# %%
def grad_w1(x, dz1):
    dw1 = torch.zeros(x.shape[1], dz1.shape[1], dtype=x.dtype)
    for xi, di in zip(x, dz1):
        dw1 += torch.outer(xi, di)
    return dw1

# %%
def grad_b1(dz1):
    return sum(row for row in dz1)[None, :]
