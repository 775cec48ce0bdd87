# %%
def grad_w1(cols, dz):
    rows = dz.flatten(2)
    return (rows @ cols).sum(0)
