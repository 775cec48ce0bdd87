# %%
def grad_table(first, second, de1, de2, table):
    tokens = torch.cat([first, second], dim=1)
    de = torch.stack([de1] * 6 + [de2] * 6, dim=1)
    index = tokens.reshape(-1, 1).expand(-1, table.shape[1])
    return torch.zeros_like(table).scatter_add(0, index, de.reshape(-1, table.shape[1]))


# %%
def grad_wh(h0, dz1, h1, dz2):
    return h0.expand(len(dz1), -1).T @ dz1 + h1.T @ dz2


# %%
def grad_h0(dz1, wh):
    return dz1.sum(0, keepdim=True) @ wh.T
