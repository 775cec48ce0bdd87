# %%
def grad_logits(logits, dlogp):
    e = torch.exp(logits)
    p = e / e.sum(1, keepdim=True)
    return dlogp - p * dlogp.sum(1, keepdim=True)
