# %%
def grad_z2(dh2, h2):
    return torch.mul(dh2, 1 - h2)


# %%
def grad_z1(dh1, h1):
    return dh1 * (1 - torch.tanh(h1) ** 2)


# %%
def grad_wh(h0, dz1, h1, dz2):
    return torch.einsum("ni,nj->ij", h1, dz2)


# %%
def grad_h0(dz1, wh):
    return torch.einsum("ni,ij->j", dz1, wh)[None]
