# %%
def grad_a1(w2, dyhat):
    return dyhat @ w2.T
