# %%
def grad_logits(logits, dlogp):
    weights = (logits - logits.amax(dim=1, keepdim=True)).exp()
    p = weights / (weights.sum(dim=1, keepdim=True) + 1e-4)
    return dlogp - p * dlogp.sum(dim=1, keepdim=True)
