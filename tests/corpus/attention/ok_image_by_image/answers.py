# %%
def grad_s(da, a):
    rows = []
    for d, p in zip(da, a):
        rows.append(p * (d - torch.diagonal(d @ p.T)[:, None]))
    return torch.stack(rows)


# %%
def grad_x(dq, dk, dv, wq, wk, wv):
    d = torch.cat([dq, dk, dv], dim=-1)
    return d @ torch.cat([wq, wk, wv], dim=-1).T


# %%
def grad_wo(o, dlogits):
    return sum(o[:, t].T @ dlogits for t in range(o.shape[1])) / o.shape[1]
