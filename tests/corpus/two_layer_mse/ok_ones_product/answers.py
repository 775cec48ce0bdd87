# %%
def grad_b1(dz1):
    return torch.ones(1, dz1.shape[0]) @ dz1
# %%
def grad_b2(dyhat):
    return torch.ones(1, len(dyhat)) @ dyhat
