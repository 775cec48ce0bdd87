# %%
def grad_xhat(dout, scale):
    return dout * gamma
