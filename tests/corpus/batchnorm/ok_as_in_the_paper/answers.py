# %%
def grad_var(dxhat, z, mean, var):
    m = z.shape[0]
    return torch.sum(dxhat * (z - mean) * (-1 / 2) * torch.pow(var + EPS, -3 / 2), dim=0, keepdim=True)


# %%
def grad_mean(dxhat, dvar, z, mean, var):
    m = z.shape[0]
    return torch.sum(dxhat * -1 / torch.sqrt(var + EPS), 0, True) + dvar * torch.sum(-2 * (z - mean), 0, True) / m


# %%
def grad_z(dxhat, dvar, dmean, z, mean, var):
    m = z.shape[0]
    return dxhat * 1 / torch.sqrt(var + EPS) + dvar * 2 * (z - mean) / m + dmean * 1 / m
