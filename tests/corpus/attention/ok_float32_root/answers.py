# %%
def grad_q(ds, k):
    return ds @ k * torch.rsqrt(torch.tensor(k.shape[-1]))


# %%
def grad_k(ds, q):
    return ds.mT @ q / torch.sqrt(torch.tensor(q.shape[-1]))


# %%
def grad_o(dlogits, wo, o):
    return (dlogits @ wo.T / torch.tensor(float(o.shape[1])))[:, None, :].repeat(1, o.shape[1], 1)
