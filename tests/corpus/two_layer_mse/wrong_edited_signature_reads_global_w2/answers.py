# %%
def grad_a1(dyhat, weights):
    return dyhat @ w2.T
