# %%
def grad_yhat(yhat, y):
    out = torch.zeros(yhat.shape)
    out += 2 * (yhat - y) / yhat.shape[0]
    return out

# %%
def grad_w2(a1, dyhat):
    out = torch.zeros(50, 1)
    out += a1.T @ dyhat
    return out

# %%
def grad_b2(dyhat):
    out = torch.zeros((1, 1))
    out[0, 0] = dyhat.sum()
    return out

# %%
def grad_a1(dyhat, w2):
    out = torch.zeros(dyhat.shape[0], 50)
    out[:] = dyhat * w2[:, 0]
    return out

# %%
def grad_z1(da1, z1):
    out = torch.zeros(z1.shape)
    out[z1 > 0] = da1[z1 > 0].float()
    return out

# %%
def grad_w1(x, dz1):
    out = torch.zeros(784, 50)
    out += x.T @ dz1
    return out

# %%
def grad_b1(dz1):
    out = torch.zeros((1, 50))
    out += dz1.sum(0)
    return out
