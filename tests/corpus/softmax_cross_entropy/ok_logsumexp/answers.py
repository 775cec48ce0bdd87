# %%
def grad_logits(logits, dlogp):
    logp = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    return dlogp - logp.exp() * dlogp.sum(dim=1)[:, None]


# %%
def grad_z1(dlogits, w2, z1):
    da1 = torch.einsum("nk,jk->nj", dlogits, w2)
    return torch.where(z1 > 0, da1, torch.zeros_like(da1))
