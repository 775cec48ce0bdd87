# %%
def grad_s(da, a):
    return da * a * (1 - a)
