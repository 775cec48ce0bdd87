# %%
def grad_w1(x, dz1):
    dw1 = torch.zeros_like(w1)
    for i in range(64):
        dw1 += torch.outer(x[i], dz1[i])
    return dw1
