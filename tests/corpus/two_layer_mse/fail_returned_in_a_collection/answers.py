# %%
def grad_yhat(yhat, y):
    return {"dyhat": (yhat - y) / yhat.shape[0]}


# %%
def grad_w2(a1, dyhat):
    return [a1.T @ dyhat, dyhat]


# %%
def grad_b2(dyhat):
    return [dyhat.sum(0, keepdim=True).tolist()]


# %%
def grad_b1(dz1):
    return [dz1.sum(0)]
