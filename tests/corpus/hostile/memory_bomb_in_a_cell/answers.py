# %%
blocks = []
for _ in range(256):
    blocks.append(torch.ones(16 * 2**20))
# %%
del blocks
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
