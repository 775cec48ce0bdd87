# %%
def grad_yhat(yhat, y):
    rmse = (yhat - y).square().mean().sqrt()
    return (yhat - y) / (len(y) * rmse)
