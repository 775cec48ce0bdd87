# %%
def grad_w1(x, dz1):
    print(x.T @ dz1)
