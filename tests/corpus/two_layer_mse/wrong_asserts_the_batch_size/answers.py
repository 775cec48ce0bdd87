# %%
def grad_w1(x, dz1):
    assert x.shape == (1000, 784)
    assert dz1.shape == (1000, 50)
    return x.T @ dz1
