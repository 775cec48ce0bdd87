# %%
def grad_logits(logits, dlogp):
    p = torch.softmax(logits, dim=-1)
    identity = torch.eye(p.shape[1], dtype=p.dtype)
    jacobian = identity[None] - p[:, None, :]  # of logp with respect to logits, for each row
    return (dlogp[:, :, None] * jacobian).sum(1)


# %%
def grad_w2(a1, dlogits):
    return torch.einsum("nj,nk->jk", a1, dlogits)
