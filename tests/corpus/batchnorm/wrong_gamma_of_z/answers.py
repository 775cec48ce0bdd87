# %%
def grad_gamma(dout, xhat):
    return (dout * z[: len(dout)]).sum(0, keepdim=True)
