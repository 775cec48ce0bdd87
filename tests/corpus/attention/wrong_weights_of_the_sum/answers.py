# %%
def grad_wo(o, dlogits):
    return o.sum(1).T @ dlogits
