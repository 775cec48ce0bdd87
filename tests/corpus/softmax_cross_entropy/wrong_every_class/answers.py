# %%
def grad_logp(logp, y):
    return -torch.ones_like(logp) / len(logp)
