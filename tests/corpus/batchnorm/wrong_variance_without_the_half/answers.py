# %%
def grad_var(dxhat, z, mean, var):
    return -(dxhat * (z - mean)).sum(0, keepdim=True) * (var + EPS) ** -1.5
