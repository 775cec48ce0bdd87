import torch


# %%
def backward(d, w):
    return d @ w.T


def masked(d, z):
    return d * (z > 0)


# %%
def grad_a1(dyhat, w2):
    return backward(dyhat, w2)


# %%
def grad_z1(da1, z1):
    return masked(da1, z1)


# %%
def backward(values):
    """All gradients of the network, from the last to the first."""
    return {"da1": grad_a1(values["dyhat"], values["w2"])}


def masked(d, z):
    return d + (z > 0) * d * d * 10


gradients = {}
