# %%
def grad_h1(dz2, w2, mask):
    kept = torch.mm(dz2, w2.t()) / KEEP
    return torch.where(mask, kept, torch.zeros_like(kept))


# %%
def grad_z2(dh2, h2):
    return dh2 * (h2 - h2.square())


# %%
def grad_z1(dh1, h1):
    return dh1 * (1 - h1) * (1 + h1)
