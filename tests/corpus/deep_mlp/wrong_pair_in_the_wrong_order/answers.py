# %%
def grad_layer1(x, dz1, w1, dpenalty):
    return dz1.sum(0, keepdim=True), x.T @ dz1 + dpenalty * DECAY * w1
