# %%
def grad_a1(dyhat, w2):
    return w2 @ dyhat.T
