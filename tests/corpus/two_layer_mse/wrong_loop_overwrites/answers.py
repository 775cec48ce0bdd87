# %%
def grad_w1(x, dz1):
    for i in range(len(x)):
        dw1 = torch.outer(x[i], dz1[i])
    return dw1
