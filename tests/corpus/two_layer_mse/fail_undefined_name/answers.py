# %%
def grad_b1(dz1):
    return dzl.sum(0, keepdim=True)
