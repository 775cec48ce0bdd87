# %%
def grad_logits(logits, dlogp):
    p = torch.softmax(logits, 1)
    return -p * dlogp.sum(1, keepdim=True)
