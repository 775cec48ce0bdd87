# %%
def outer_sum(left, right):
    return left.T @ right

# %%
def grad_w2(a1, dyhat):
    return outer_sum(a1, dyhat)

# %%
def grad_w1(x, dz1):
    return outer_sum(x, dz1)

# %%
def grad_b1(dz1):
    return column_sum(dz1)

# %%
def column_sum(d):
    return d.sum(0, keepdim=True)
