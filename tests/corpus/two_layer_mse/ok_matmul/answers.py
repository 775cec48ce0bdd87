# %%
def grad_yhat(yhat, y):
    return (yhat - y) * (2 / len(yhat))

# %%
def grad_w2(a1, dyhat):
    return torch.matmul(a1.transpose(0, 1), dyhat)

# %%
def grad_b2(dyhat):
    return dyhat.sum(0).unsqueeze(0)

# %%
def grad_a1(dyhat, w2):
    return torch.matmul(dyhat, w2.transpose(0, 1))

# %%
def grad_z1(da1, z1):
    return da1 * (z1 > 0).to(da1.dtype)

# %%
def grad_w1(x, dz1):
    return torch.matmul(x.transpose(0, 1), dz1)

# %%
def grad_b1(dz1):
    return dz1.sum(0).unsqueeze(0)
