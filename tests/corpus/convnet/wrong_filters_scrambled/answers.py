# %%
def grad_w1(cols, dz):
    rows = dz.reshape(len(dz), 100, 8)
    return (cols.transpose(1, 2) @ rows).sum(0)
