# %%
def grad_yhat(yhat, y):
    return (2 * (yhat - y) / len(yhat)).float()

# %%
def grad_w1(x, dz1):
    return (x.double().T @ dz1.double()).to(torch.float32)
