# %%
cache = {}

# %%
def grad_w1(x, dz1):
    if "dw1" not in cache:
        cache["dw1"] = x.T @ dz1
    return cache["dw1"]
