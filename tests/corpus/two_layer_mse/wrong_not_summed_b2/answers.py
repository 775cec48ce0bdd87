# %%
def grad_b2(dyhat):
    return dyhat
