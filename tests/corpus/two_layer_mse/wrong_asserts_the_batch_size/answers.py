# %%
def grad_w1(x, dz1):
    assert x.shape == (256, 784)
    assert dz1.shape == (256, 50)
    return x.T @ dz1
