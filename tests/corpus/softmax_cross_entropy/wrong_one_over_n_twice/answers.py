# %%
def grad_w2(a1, dlogits):
    return a1.T @ dlogits / len(a1)
