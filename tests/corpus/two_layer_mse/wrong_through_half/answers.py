# %%
def grad_b1(dz1):
    return dz1.half().sum(0, keepdim=True).to(dz1.dtype)
