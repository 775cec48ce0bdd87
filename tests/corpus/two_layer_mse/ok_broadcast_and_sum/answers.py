# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) / yhat.numel()

# %%
def grad_w2(a1, dyhat):
    return (a1[:, :, None] * dyhat[:, None, :]).sum(0)

# %%
def grad_b2(dyhat):
    return dyhat.sum().reshape(1, 1)

# %%
def grad_a1(dyhat, w2):
    return (dyhat[:, :, None] * w2.T[None, :, :]).sum(1)

# %%
def grad_z1(da1, z1):
    return da1 * z1.gt(0)

# %%
def grad_w1(x, dz1):
    return (x.unsqueeze(-1) * dz1.unsqueeze(1)).sum(0)

# %%
def grad_b1(dz1):
    return dz1.sum(axis=0, keepdims=True)
