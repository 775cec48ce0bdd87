# %%
def grad_affine(dn, xhat, gamma):
    return [dn.sum(0, keepdim=True), (dn * xhat).sum(0, keepdim=True), dn * gamma]
