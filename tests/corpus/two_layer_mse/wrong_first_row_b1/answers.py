# %%
def grad_b1(dz1):
    return dz1[:1]
