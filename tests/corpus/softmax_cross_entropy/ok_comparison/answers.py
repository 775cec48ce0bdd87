# %%
def grad_logp(logp, y):
    is_true = y[:, None] == torch.arange(10)
    return is_true * (-1 / len(y))


# %%
def grad_logits(logits, dlogp):
    p = logits.log_softmax(1).exp()
    return dlogp - torch.sum(dlogp, dim=1, keepdim=True) * p
