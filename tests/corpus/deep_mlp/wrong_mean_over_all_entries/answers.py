# %%
def grad_yhat(yhat, t):
    return 2 * (yhat - t) / yhat.numel()
