# %%
def grad_w3(h2, dyhat, w3, dpenalty):
    return torch.einsum("nj,nk->jk", h2, dyhat) + w3 * (DECAY * dpenalty)


# %%
def grad_layer1(x, dz1, w1, dpenalty):
    return torch.einsum("ni,nj->ij", x, dz1) + DECAY * w1 * dpenalty, torch.einsum("nj->j", dz1)[None]
