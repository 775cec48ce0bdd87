# %%
def grad_yhat(yhat, y):
    return (yhat - y) / len(y)
