# %%
def grad_logp(logp, y):
    return -(torch.arange(logp.shape[1])[None] == y[:, None]).to(logp.dtype) / y.numel()


# %%
def grad_logits(logits, dlogp):
    return dlogp - torch.exp(logits - torch.logsumexp(logits, 1, keepdim=True)) * (dlogp @ torch.ones(dlogp.shape[1], 1, dtype=dlogp.dtype))


# %%
def grad_w2(a1, dlogits):
    return torch.addmm(torch.zeros(a1.shape[1], dlogits.shape[1], dtype=a1.dtype), a1.t(), dlogits)


# %%
def grad_z1(dlogits, w2, z1):
    back = torch.nn.functional.linear(dlogits, w2)
    back[z1 <= 0] = 0
    return back


# %%
def grad_w1(x, dz1):
    return sum(torch.outer(row, d) for row, d in zip(x, dz1))
