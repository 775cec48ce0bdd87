# %%
def grad_logits(logits, dlogp):
    e = (logits - logits.amax(1, keepdim=True)).exp()
    return dlogp - e * dlogp.sum(1, keepdim=True)
