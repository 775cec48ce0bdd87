# %%
def grad_b2(dyhat):
    return dyhat.mean(0, keepdim=True)
