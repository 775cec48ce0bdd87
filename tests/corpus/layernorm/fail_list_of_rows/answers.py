# %%
def grad_affine(dn, xhat, gamma):
    return [(dn * xhat).sum(0), dn.sum(0), dn * gamma]
