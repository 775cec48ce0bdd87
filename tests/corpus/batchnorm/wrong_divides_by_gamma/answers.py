# %%
def grad_xhat(dout, gamma):
    return dout / gamma
