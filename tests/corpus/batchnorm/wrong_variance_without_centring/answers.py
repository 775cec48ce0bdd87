# %%
def grad_var(dxhat, z, mean, var):
    return (dxhat * z).sum(0, keepdim=True) * -0.5 * (var + EPS) ** -1.5
