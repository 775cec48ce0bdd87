# %%
def grad_z1(dh1, h1):
    return dh1 * (1 - torch.tanh(h1) ** 2)
