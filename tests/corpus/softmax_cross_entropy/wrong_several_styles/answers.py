# %%
def grad_logp(logp, y):
    chosen = torch.nn.functional.one_hot(y, logp.shape[1]).to(logp.dtype)
    return chosen.div(len(y))


# %%
def grad_logits(logits, dlogp):
    p = torch.softmax(logits, 1)
    return dlogp - p * dlogp


# %%
def grad_w2(a1, dlogits):
    return (a1.unsqueeze(2) * dlogits.unsqueeze(1)).mean(0)


# %%
def grad_b2(dlogits):
    return torch.stack([row.sum() for row in dlogits])[None]


# %%
def grad_z1(dlogits, w2, z1):
    return (dlogits @ w2.T) * z1.relu()


# %%
def grad_w1(x, dz1):
    return torch.tensordot(dz1, x, dims=([0], [0]))
