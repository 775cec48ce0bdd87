# %%
def grad_wh(h0, dz1, h1, dz2):
    return dz1.sum(0, keepdim=True).T @ h0 + dz2.T @ h1
