# %%
def grad_w3(h2, dyhat, w3, dpenalty):
    return h2.T @ dyhat
