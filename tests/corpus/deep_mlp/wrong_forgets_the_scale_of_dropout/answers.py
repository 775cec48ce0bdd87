# %%
def grad_h1(dz2, w2, mask):
    return (dz2 @ w2.T) * mask
