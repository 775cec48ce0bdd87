# %%
def grad_logits(logits, dlogp):
    p = torch.softmax(logits, 1)
    return dlogp - p * dlogp.sum(0, keepdim=True)
