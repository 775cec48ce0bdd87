# %%
import math


# %%
def grad_s(da, a):
    product = a * da
    return product - a * product.sum(2, keepdim=True)


# %%
def grad_k(ds, q):
    return torch.bmm(ds.transpose(-2, -1), q).div(math.sqrt(q.shape[2]))


# %%
def grad_v(a, do):
    return torch.bmm(a.permute(0, 2, 1), do)


# %%
def grad_projections(x, dq, dk, dv):
    def one(d):
        return (x.transpose(1, 2) @ d).sum(0)

    return one(dq), one(dk), one(dv)
