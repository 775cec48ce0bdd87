# %%
def grad_wx_b(e1, dz1, e2, dz2):
    dwx = e1.T @ dz1 + e2.T @ dz2
    db = dz1.sum(0, keepdim=True)
    db = dz2.sum(0, keepdim=True)
    return dwx, db
