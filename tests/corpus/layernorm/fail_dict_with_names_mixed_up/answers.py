# %%
def grad_affine(dn, xhat, gamma):
    return {"dbeta": (dn * xhat).sum(0, keepdim=True), "dgamma": dn.sum(0, keepdim=True), "dxhat": dn * gamma}
