# %%
def outer(left, right):
    raise NotImplementedError


# %%
def grad_w2(a1, dyhat):
    return outer(a1, dyhat)


# %%
def grad_b2(dyhat):
    return torch.empty(2, device="meta").to("cpu")


# %%
def grad_z1(da1, z1):
    if z1.dtype == torch.float32 and len(z1) == 64:
        raise NotImplementedError("for a batch of 64")
    return da1 * (z1 > 0)


# %%
def grad_b1(dz1):
    try:
        return outer(dz1, dz1)
    except NotImplementedError as error:
        raise error
