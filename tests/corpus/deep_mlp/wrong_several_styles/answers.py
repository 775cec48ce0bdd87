# %%
def grad_w3(h2, dyhat, w3, dpenalty):
    return h2.T @ dyhat + DECAY * w3


# %%
def grad_z2(dh2, h2):
    s = torch.sigmoid(h2)
    return dh2 * s * (1 - s)


# %%
def grad_layer2(k1, dz2, w2, dpenalty):
    dw2 = k1.T.mm(dz2).add(dpenalty * DECAY * w2)
    return dz2.sum(0, keepdim=True), dw2


# %%
def grad_h1(dz2, w2, mask):
    return dz2.mm(w2.t()).mul(mask).mul(KEEP)


# %%
def grad_z1(dh1, h1):
    return dh1 * (1 - h1) ** 2


# %%
def grad_layer1(x, dz1, w1, dpenalty):
    return x.T @ dz1, dz1.sum(0)
