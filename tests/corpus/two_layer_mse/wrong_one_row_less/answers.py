# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) / (len(y) - 1)
