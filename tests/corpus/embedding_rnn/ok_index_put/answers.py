# %%
def grad_table(first, second, de1, de2, table):
    d = torch.zeros_like(table)
    for tokens, de in ((first, de1), (second, de2)):
        for place in range(tokens.shape[1]):
            d.index_put_((tokens[:, place],), de, accumulate=True)
    return d


# %%
def grad_wx_b(e1, dz1, e2, dz2):
    e, dz = torch.cat([e1, e2]), torch.cat([dz1, dz2])
    return e.T @ dz, dz.sum(0, keepdim=True)
