# %%
def grad_v(a, do):
    return a @ do
