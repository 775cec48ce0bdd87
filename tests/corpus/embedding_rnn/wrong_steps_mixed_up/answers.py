# %%
def grad_wx_b(e1, dz1, e2, dz2):
    return e2.T @ dz1 + e1.T @ dz2, dz1.sum(0, keepdim=True) + dz2.sum(0, keepdim=True)
