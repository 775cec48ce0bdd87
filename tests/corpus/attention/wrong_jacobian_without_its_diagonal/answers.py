# %%
def grad_s(da, a):
    jacobian = -a[..., :, None] * a[..., None, :]
    jacobian.diagonal(dim1=-2, dim2=-1).zero_()
    return (jacobian @ da[..., None])[..., 0]


# %%
def grad_x(dq, dk, dv, wq, wk, wv):
    return torch.cat([dq @ wq.T, dk @ wk.T, dv @ wv.T], dim=-1)
