# %%
def grad_a1(dyhat, w2):
    return dyhat @ parameters['w2'].T
