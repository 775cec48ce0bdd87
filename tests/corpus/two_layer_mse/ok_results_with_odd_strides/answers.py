# %%
def grad_w2(a1, dyhat):
    return (dyhat.T @ a1).T

# %%
def grad_b2(dyhat):
    return dyhat.sum().expand(1, 1)

# %%
def grad_z1(da1, z1):
    both = torch.stack([da1 * (z1 > 0), da1], dim=-1)
    return both[..., 0]

# %%
def grad_w1(x, dz1):
    return (dz1.T @ x).transpose(0, 1)
