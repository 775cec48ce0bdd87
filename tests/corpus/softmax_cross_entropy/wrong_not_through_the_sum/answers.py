# %%
def grad_logits(logits, dlogp):
    return dlogp
