# %%
def grad_b1(dz1):
    breakpoint()
    return dz1.sum(0, keepdim=True)
