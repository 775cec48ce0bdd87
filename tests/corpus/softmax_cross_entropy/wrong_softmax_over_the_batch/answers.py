# %%
def grad_logits(logits, dlogp):
    p = torch.softmax(logits, 0)
    return dlogp - p * dlogp.sum(1, keepdim=True)
