# %%
def grad_q(ds, k):
    return ds @ k
