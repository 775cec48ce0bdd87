# %%
def grad_s(da, a):
    return a * (da - (da * a).sum((-2, -1), keepdim=True))
