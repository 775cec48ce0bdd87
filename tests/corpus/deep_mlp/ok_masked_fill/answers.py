# %%
def grad_h1(dz2, w2, mask):
    d = (dz2 @ w2.T).masked_fill(~mask, 0.0)
    return d * (1 / KEEP)


# %%
def grad_layer2(k1, dz2, w2, dpenalty):
    db2 = torch.zeros_like(dz2[:1])
    for row in dz2:
        db2 = db2 + row
    decay = dpenalty * DECAY
    return torch.addmm(decay * w2, k1.T, dz2), db2
