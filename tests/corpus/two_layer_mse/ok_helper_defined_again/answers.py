import torch


# %%
def backward(d, w):
    return d @ w.T


# %%
def grad_a1(dyhat, w2):
    return backward(dyhat, w2)


# %%
def backward(d, w):
    """The same in other words."""
    return torch.einsum("nk,hk->nh", d, w)


gradients = {}
