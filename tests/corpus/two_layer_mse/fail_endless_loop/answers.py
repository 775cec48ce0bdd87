# %%
def grad_b1(dz1):
    n = 0
    while n < len(dz1):
        total = dz1[n]
    return total
