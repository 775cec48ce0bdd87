# %%
def grad_q(ds, k):
    return ds @ k * k.shape[-1] ** 0.5
