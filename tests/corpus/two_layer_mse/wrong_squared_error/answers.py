# %%
def grad_yhat(yhat, y):
    return (yhat - y) ** 2 / len(y)
