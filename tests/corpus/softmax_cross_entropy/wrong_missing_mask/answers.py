# %%
def grad_z1(dlogits, w2, z1):
    return dlogits @ w2.T
