# %%
def grad_z1(da1, z1):
    s = torch.sigmoid(z1)
    return da1 * s * (1 - s)
