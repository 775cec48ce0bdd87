# %%
def grad_b1(dz1):
    return {"b1": dz1.sum(0, keepdim=True)}


# %%
def grad_b2(dyhat):
    return [dyhat.sum(0, keepdim=True)]
