# %%
def grad_z1(da1, z1):
    da1_dz1 = torch.where(z1 > 0, torch.ones(z1.shape), torch.zeros(z1.shape))
    return da1 * da1_dz1
