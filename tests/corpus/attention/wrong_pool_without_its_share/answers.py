# %%
def grad_o(dlogits, wo, o):
    return (dlogits @ wo.T)[:, None, :].expand_as(o)
