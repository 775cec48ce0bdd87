# %%
def grad_last(dlogits, h2, wo):
    db = dlogits[:, :-1].sum(dim=0, keepdim=True)
    return h2.T @ dlogits, torch.cat([db, -db.sum(dim=1, keepdim=True)], dim=1), dlogits @ wo.T
