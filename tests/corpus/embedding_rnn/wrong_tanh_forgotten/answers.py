# %%
def grad_z1(dh1, h1):
    return dh1
