# %%
def grad_w1(cols, dz):
    rows = dz.flatten(2).transpose(1, 2)
    return cols.transpose(1, 2) @ rows
