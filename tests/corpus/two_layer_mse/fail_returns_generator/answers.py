# %%
def grad_b1(dz1):
    yield dz1.sum(0, keepdim=True)
