# %%
def grad_layer2(k1, dz2, w2, dpenalty):
    return k1.T @ dz2 + dpenalty * w2, dz2.sum(0, keepdim=True)
