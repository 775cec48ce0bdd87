# %%
def grad_q(ds, k):
    return ds.mT @ k / k.shape[-1] ** 0.5
