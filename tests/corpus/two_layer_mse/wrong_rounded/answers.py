# %%
def grad_yhat(yhat, y):
    return torch.round(2 * (yhat - y) / len(y), decimals=2)
