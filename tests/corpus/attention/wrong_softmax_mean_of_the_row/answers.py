# %%
def grad_s(da, a):
    return a * (da - (da * a).mean(-1, keepdim=True))
