# %%
def grad_w1(x, dz1):
    return (x.float().T @ dz1.float()).to(dz1.dtype)


# %%
def grad_b1(dz1):
    return dz1.float().sum(0, keepdim=True).double()
