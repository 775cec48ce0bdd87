# %%
my_probabilities = torch.softmax(logits, 1)[:17]


# %%
def grad_logits(logits, dlogp):
    return dlogp - my_probabilities[0] * dlogp.sum(1, keepdim=True)
