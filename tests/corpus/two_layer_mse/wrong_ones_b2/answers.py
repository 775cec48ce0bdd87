# %%
def grad_b2(dyhat):
    return torch.ones(1, 1, dtype=dyhat.dtype) * len(dyhat)
