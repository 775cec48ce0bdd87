# %%
def grad_b2(dyhat):
    return 2 * (yhat - y).mean(0, keepdim=True)
