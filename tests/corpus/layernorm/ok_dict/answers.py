# %%
def grad_affine(dn, xhat, gamma):
    return {"dxhat": dn * gamma, "dbeta": dn.sum(0, keepdim=True), "dgamma": (dn * xhat).sum(0, keepdim=True)}
