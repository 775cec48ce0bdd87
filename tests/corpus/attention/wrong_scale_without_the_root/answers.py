# %%
def grad_k(ds, q):
    return ds.mT @ q / q.shape[-1]
