# %%
def grad_affine(dn, xhat, gamma):
    return {"dgamma": (dn * xhat).sum(0, keepdim=True), "dbeta": dn.sum(0, keepdim=True)}
