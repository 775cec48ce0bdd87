# %%
def grad_table(first, second, de1, de2, table):
    d = torch.zeros_like(table)
    d.index_add_(0, first[:, 0], de1)
    d.index_add_(0, second[:, 0], de2)
    return d
