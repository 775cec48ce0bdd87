# %%
def grad_w3(h2, dyhat, w3, dpenalty):
    return h2.T @ dyhat + 2 * dpenalty * DECAY * w3
