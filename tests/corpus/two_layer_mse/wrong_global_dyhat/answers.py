# %%
def grad_b2(dyhat):
    return globals()['dyhat'].sum(0, keepdim=True)
