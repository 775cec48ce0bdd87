# %%
def grad_a1(dyhat, w2):
    return torch.kron(dyhat, w2.T)

# %%
def grad_z1(da1, z1):
    return torch.stack([d * (z > 0) for d, z in zip(da1, z1)])

# %%
def grad_b2(dyhat):
    return sum(chunk.sum().reshape(1, 1) for chunk in dyhat.chunk(4))
