# %%
def grad_w1(inputs, upstream):
    return inputs.T @ upstream
