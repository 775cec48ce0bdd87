# %%
def grad_k(ds, q):
    return ds @ q / q.shape[-1] ** 0.5
