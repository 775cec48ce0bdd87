# %%
def grad_w1(x, dz1):
    return x.double().T @ dz1.double()
