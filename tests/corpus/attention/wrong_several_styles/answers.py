# %%
def grad_o(dlogits, wo, o):
    pooled = torch.matmul(dlogits, wo.t())
    return torch.stack([pooled] * o.shape[1], dim=1)


# %%
def grad_v(a, do):
    return torch.bmm(a, do)


# %%
def grad_s(da, a):
    inner = torch.einsum("nij->ni", da)[..., None]
    return a * (da - inner)


# %%
def grad_q(ds, k):
    return torch.einsum("nij,njd->nid", ds, k) * k.shape[2] ** 0.5


# %%
def grad_k(ds, q):
    return torch.einsum("nij,njd->nid", ds, q) / q.shape[2] ** 0.5


# %%
def grad_x(dq, dk, dv, wq, wk, wv):
    total = 0
    for d, w in ((dq, wq), (dk, wk)):
        total = total + torch.einsum("nid,ed->nie", d, w)
    return total
