# %%
def grad_gamma(dout, xhat):
    return torch.sum(dout * xhat, dim=1, keepdim=True)


# %%
def grad_xhat(dout, gamma):
    return dout / gamma


# %%
def grad_var(dxhat, z, mean, var):
    inv = 1 / torch.sqrt(var + EPS)
    return (dxhat * (z - mean)).sum(0, keepdim=True) * (-0.5) * inv


# %%
def grad_mean(dxhat, dvar, z, mean, var):
    return -(dxhat / torch.sqrt(var + EPS)).mean(0, keepdim=True)


# %%
def grad_z(dxhat, dvar, dmean, z, mean, var):
    n = z.size(0)
    return dxhat * torch.rsqrt(var + EPS) + 2 / n * dvar * (z - mean) + dmean
