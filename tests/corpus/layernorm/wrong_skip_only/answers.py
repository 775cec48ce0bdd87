# %%
def grad_h(dcentred, dr):
    return dr
