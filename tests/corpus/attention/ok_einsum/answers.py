# %%
def grad_v(a, do):
    return torch.einsum("ntu,nte->nue", a, do)


# %%
def grad_a(do, v):
    return torch.einsum("nte,nue->ntu", do, v)


# %%
def grad_q(ds, k):
    return torch.einsum("ntu,nue->nte", ds, k) / 8**0.5


# %%
def grad_k(ds, q):
    return torch.einsum("ntu,nte->nue", ds, q) * 8**-0.5


# %%
def grad_projections(x, dq, dk, dv):
    return tuple(torch.einsum("nti,nte->ie", x, d) for d in (dq, dk, dv))
