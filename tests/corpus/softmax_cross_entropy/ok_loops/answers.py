# %%
def grad_logp(logp, y):
    return torch.zeros_like(logp).scatter(1, y[:, None], -1.0 / logp.size(0))


# %%
def grad_logits(logits, dlogp):
    rows = []
    for l, d in zip(logits, dlogp):
        e = torch.exp(l - l.max())
        rows.append(d - e / e.sum() * d.sum())
    return torch.stack(rows)


# %%
def grad_b2(dlogits):
    return dlogits.mean(0, keepdim=True) * len(dlogits)
