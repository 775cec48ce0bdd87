# %%
def grad_w2(a1, dyhat):
    return (a1 * dyhat).sum(dim=0, keepdim=True)
