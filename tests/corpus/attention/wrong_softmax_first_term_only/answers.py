# %%
def grad_s(da, a):
    return a * da
