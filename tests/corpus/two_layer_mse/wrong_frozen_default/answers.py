# %%
def grad_yhat(yhat, y, n=len(x)):
    return 2 * (yhat - y) / n
