# %%
def grad_xhat(dout, gamma):
    return dout * gamma + beta


# %%
def grad_var(dxhat, z, mean, var):
    rstd = torch.rsqrt(var + EPS)
    normalised = (z - mean) * rstd
    return -0.5 * (dxhat * normalised).sum(dim=0, keepdim=True) * rstd**3
