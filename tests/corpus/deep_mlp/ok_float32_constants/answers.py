# %%
decay, keep = torch.tensor(DECAY), torch.tensor(KEEP)


def grad_w3(h2, dyhat, w3, dpenalty):
    return h2.T @ dyhat + dpenalty * decay * w3


# %%
def grad_h1(dz2, w2, mask):
    return (dz2 @ w2.T) * mask / keep
