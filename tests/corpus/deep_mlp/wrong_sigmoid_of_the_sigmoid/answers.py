# %%
def grad_z2(dh2, h2):
    s = torch.sigmoid(h2)
    return dh2 * s * (1 - s)
