# %%
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)

# %%
def grad_b1(dz1):
    db1 = torch.zeros(1, 50)
    db1 += dz1.sum(0)
    return db1
