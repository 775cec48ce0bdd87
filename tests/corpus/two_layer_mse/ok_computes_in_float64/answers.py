# %%
def grad_w2(a1, dyhat):
    return (a1.double().T @ dyhat.double()).to(a1.dtype)

# %%
def grad_w1(x, dz1):
    return (x.double().T @ dz1.double()).type_as(x)

# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True, dtype=torch.float64).to(dz1.dtype)
