# %%
def grad_s(da, a):
    return a * (da - da.sum(-1, keepdim=True))
