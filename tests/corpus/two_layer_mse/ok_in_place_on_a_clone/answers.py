# %%
def grad_yhat(yhat, y):
    d = yhat.clone()
    d -= y
    d *= 2
    d /= len(d)
    return d

# %%
def grad_w2(a1, dyhat):
    d = a1.clone().mul_(dyhat)
    return d.sum(dim=0).unsqueeze_(1)

# %%
def grad_b2(dyhat):
    d = dyhat.clone()
    return d.cumsum_(0)[-1:]

# %%
def grad_a1(dyhat, w2):
    d = dyhat.repeat(1, w2.shape[0])
    d.mul_(w2.view(-1))
    return d

# %%
def grad_z1(da1, z1):
    d = da1.clone()
    d.mul_(z1 > 0)
    return d

# %%
def grad_w1(x, dz1):
    d = torch.empty(x.shape[1], dz1.shape[1], dtype=x.dtype)
    torch.mm(x.t(), dz1, out=d)
    return d

# %%
def grad_b1(dz1):
    d = dz1[:1].clone()
    d += dz1[1:].sum(0)
    return d
