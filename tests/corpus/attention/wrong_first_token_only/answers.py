# %%
def grad_o(dlogits, wo, o):
    do = torch.zeros_like(o)
    do[:, 0] = dlogits @ wo.T
    return do
