# %%
def grad_gamma(dout, xhat):
    return dout.sum(0, keepdim=True)
