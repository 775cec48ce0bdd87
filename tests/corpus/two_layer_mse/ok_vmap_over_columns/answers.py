# %%
from torch.func import vmap

# %%
def grad_yhat(yhat, y):
    N = len(yhat)
    return vmap(lambda p, t: 2 * (p - t) / N)(yhat, y)

# %%
def grad_b2(dyhat):
    return vmap(torch.sum, in_dims=1)(dyhat).unsqueeze(0)

# %%
def grad_z1(da1, z1):
    def one(d, z):
        return torch.where(z > 0, d, torch.zeros_like(d))
    return vmap(one)(da1, z1)

# %%
def grad_b1(dz1):
    return vmap(lambda column: column.sum(), in_dims=1)(dz1)[None, :]
