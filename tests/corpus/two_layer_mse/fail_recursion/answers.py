# %%
def grad_b1(dz1):
    return grad_b1(dz1)
