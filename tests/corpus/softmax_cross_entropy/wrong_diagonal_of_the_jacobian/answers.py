# %%
def grad_logits(logits, dlogp):
    p = torch.softmax(logits, 1)
    return dlogp * (1 - p)
