# %%
def grad_w1(dz1):
    return dz1
