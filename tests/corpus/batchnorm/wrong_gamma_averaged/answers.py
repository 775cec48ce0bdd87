# %%
def grad_gamma(dout, xhat):
    return (dout * xhat).mean(0, keepdim=True)
