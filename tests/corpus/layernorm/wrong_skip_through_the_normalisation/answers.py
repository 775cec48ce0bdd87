# %%
def grad_h(dcentred, dr):
    d = dcentred + dr
    return d - d.mean(1, keepdim=True)
