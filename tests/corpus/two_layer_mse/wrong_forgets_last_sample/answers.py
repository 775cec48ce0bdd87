# %%
def grad_w1(x, dz1):
    total = torch.zeros(x.shape[1], dz1.shape[1], dtype=x.dtype)
    for i in range(len(x) - 1):
        total += torch.outer(x[i], dz1[i])
    return total
