# %%
def grad_yhat(yhat, y):
    return torch.tensor(2 / len(y)) * (yhat - y)


# %%
def grad_centred(dxhat, xhat, rstd):
    share = torch.tensor(1 / xhat.shape[1])
    return rstd * (dxhat - xhat * (dxhat * xhat).sum(dim=1, keepdim=True) * share)


# %%
def grad_h(dcentred, dr):
    share = torch.full((1, dr.shape[1]), 1 / dr.shape[1])
    return dr + dcentred - (dcentred * share).sum(dim=1, keepdim=True)
