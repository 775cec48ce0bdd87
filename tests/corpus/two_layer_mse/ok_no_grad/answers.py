# %%
@torch.no_grad()
def grad_yhat(yhat, y):
    return 2 * (yhat.detach() - y) / yhat.shape[0]

# %%
@torch.no_grad()
def grad_w2(a1, dyhat):
    return a1.detach().T @ dyhat.detach()

# %%
@torch.no_grad()
def grad_b2(dyhat):
    return dyhat.sum(0, keepdim=True).detach()

# %%
def grad_a1(dyhat, w2):
    with torch.no_grad():
        return dyhat @ w2.T

# %%
def grad_z1(da1, z1):
    with torch.no_grad():
        mask = (z1 > 0).float()
        return da1 * mask

# %%
@torch.inference_mode()
def grad_w1(x, dz1):
    return x.T @ dz1

# %%
@torch.no_grad()
def grad_b1(dz1):
    return dz1.detach().clone().sum(0, keepdim=True)
