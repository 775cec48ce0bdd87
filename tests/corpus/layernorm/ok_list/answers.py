# %%
def grad_affine(dn, xhat, gamma):
    return [(dn * xhat).sum(0, keepdim=True), dn.sum(0, keepdim=True), dn * gamma]
