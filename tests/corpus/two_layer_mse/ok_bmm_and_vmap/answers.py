# %%
def grad_w1(x, dz1):
    return torch.bmm(x[:, :, None], dz1[:, None, :]).sum(0)
# %%
def grad_w2(a1, dyhat):
    return torch.func.vmap(torch.outer)(a1, dyhat).sum(0)
# %%
def grad_a1(dyhat, w2):
    return torch.vmap(lambda d: w2[:, 0] * d)(dyhat[:, 0])
