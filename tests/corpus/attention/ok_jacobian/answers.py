# %%
def grad_s(da, a):
    jacobian = torch.diag_embed(a) - a[..., :, None] * a[..., None, :]
    return (jacobian @ da[..., None]).squeeze(-1)


# %%
def grad_o(dlogits, wo, o):
    tokens = o.size(1)
    return torch.stack([dlogits @ wo.T / tokens] * tokens, dim=1)
