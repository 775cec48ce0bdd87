# %%
def grad_yhat(yhat, y):
    return 2 * (y - yhat) / len(y)
