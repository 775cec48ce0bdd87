# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) / len(y)
# %%
def grad_w2(a1, dyhat):
    return a1.T @ dyhat
# %%
def grad_b2(dyhat):
    return dyhat.sum(0, keepdim=True)
