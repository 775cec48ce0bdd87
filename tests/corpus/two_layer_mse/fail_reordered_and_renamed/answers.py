# %%
def grad_w1(upstream, inputs):
    return inputs.T @ upstream.reshape(-1, 50)
