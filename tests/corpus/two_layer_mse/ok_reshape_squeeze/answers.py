# %%
def grad_a1(dyhat, w2):
    return dyhat.squeeze().unsqueeze(1) * w2.squeeze()
# %%
def grad_w2(a1, dyhat):
    return (a1 * dyhat).sum(0).view(-1, 1)
# %%
def grad_b2(dyhat):
    return dyhat.flatten().sum().view(1, 1)
