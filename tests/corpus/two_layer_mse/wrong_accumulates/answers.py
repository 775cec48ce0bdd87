# %%
buffer = 0
# %%
def grad_w1(x, dz1):
    global buffer
    buffer = buffer + x.T @ dz1
    return buffer
