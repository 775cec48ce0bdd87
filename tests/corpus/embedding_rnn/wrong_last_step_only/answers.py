# %%
def grad_wh(h0, dz1, h1, dz2):
    return h1.T @ dz2
