# %%
def grad_w1(x, dz1):
    dw1 = torch.zeros_like(w1)
    dw1 += x.T @ dz1
    return dw1

# %%
def grad_b1(dz1):
    db1 = torch.zeros_like(parameters["b1"])
    db1 += dz1.sum(0)
    return db1
