# %%
def grad_w1(x, dz1):
    return torch.outer(x[0], dz1[0])
