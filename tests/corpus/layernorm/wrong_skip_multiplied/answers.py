# %%
def grad_h(dcentred, dr):
    return dr * (dcentred - dcentred.mean(1, keepdim=True))
