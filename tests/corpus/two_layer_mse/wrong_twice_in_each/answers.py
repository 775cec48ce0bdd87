# %%
def grad_yhat(yhat, y):
    residual = y - yhat
    return residual * 2


# %%
def grad_w2(a1, dyhat):
    return -(a1 * dyhat).mean(0)[:, None]


# %%
def grad_z1(da1, z1):
    inactive = (z1 < 0).to(da1.dtype)
    return da1 * inactive / 2


# %%
def grad_w1(x, dz1):
    return (x / 255).T @ dz1.clamp(min=0)


# %%
def grad_b1(dz1):
    return dz1.mean(dim=0)
