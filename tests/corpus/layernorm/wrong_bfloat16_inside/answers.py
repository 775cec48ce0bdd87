# %%
def grad_n(du, w1):
    return (du.bfloat16() @ w1.T.bfloat16()).to(du.dtype)


# %%
def grad_yhat(yhat, y):
    return (yhat - y) * torch.tensor(2 / len(y), dtype=torch.half)
