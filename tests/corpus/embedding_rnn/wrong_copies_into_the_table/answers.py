# %%
def grad_table(first, second, de1, de2, table):
    d = torch.zeros_like(table)
    d.index_add_(0, first.flatten(), de1.repeat_interleave(6, dim=0))
    d[second.flatten()] = de2.repeat_interleave(6, dim=0)
    return d
