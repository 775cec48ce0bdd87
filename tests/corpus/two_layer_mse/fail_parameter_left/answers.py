# %%
def grad_b1(dz1):
    return torch.nn.Parameter(dz1.sum(0, keepdim=True))
