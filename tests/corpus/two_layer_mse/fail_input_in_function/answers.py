# %%
def grad_b1(dz1):
    input('Go on? ')
    return dz1.sum(0, keepdim=True)
