# %%
def grad_w1(x, dz1):
    total = torch.zeros(784, 50)
    for i in range(x.shape[0]):
        total += torch.outer(x[i], dz1[i])
    return total
