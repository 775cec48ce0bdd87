# %%
def grad_h0(dz1, wh):
    return (dz1 @ wh.T).mean(0, keepdim=True)
