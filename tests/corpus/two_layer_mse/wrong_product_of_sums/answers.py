# %%
def grad_w2(a1, dyhat):
    return a1.sum(0, keepdim=True).T @ dyhat.sum(0, keepdim=True)
