# %%
raise ValueError("x" * 9_000_000)
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
