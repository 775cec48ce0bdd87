# %%
def grad_w2(a1, dyhat):
    dw2 = a1.T @ dyhat
    print("dw2", dw2.shape, dw2.mean())
    assert dw2.shape == w2.shape
    return dw2

# %%
def grad_w1(x, dz1):
    print(f"{x.shape=} {dz1.shape=}")
    dw1 = x.T @ dz1
    assert dw1.shape == w1.shape, "wrong shape"
    print(dw1)
    return dw1

# %%
def grad_b1(dz1):
    return dz1.sum(0).reshape(b1.shape)
