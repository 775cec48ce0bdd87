# %%
def grad_mean(dxhat, dvar, z, mean, var):
    return -(dxhat / torch.sqrt(var + EPS)).sum(0, keepdim=True)
