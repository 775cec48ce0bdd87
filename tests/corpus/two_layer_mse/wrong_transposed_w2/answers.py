# %%
def grad_w2(a1, dyhat):
    return dyhat.T @ a1
