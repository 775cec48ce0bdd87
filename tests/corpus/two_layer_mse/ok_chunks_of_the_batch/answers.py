# %%
def grad_w2(a1, dyhat):
    total = 0
    for a, d in zip(a1.split(16), dyhat.split(16)):
        total = total + a.T @ d
    return total

# %%
def grad_w1(x, dz1):
    total = 0
    for start in range(0, len(x), 16):
        total = total + x[start:start + 16].T @ dz1[start:start + 16]
    return total

# %%
def grad_b1(dz1):
    return torch.stack([chunk.sum(0) for chunk in dz1.split(16)]).sum(0, keepdim=True)
