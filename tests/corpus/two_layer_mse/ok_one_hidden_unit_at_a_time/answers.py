# %%
def grad_w2(a1, dyhat):
    return torch.stack([torch.dot(column, dyhat[:, 0]) for column in a1.T])[:, None]

# %%
def grad_a1(dyhat, w2):
    return torch.cat([dyhat * w for w in w2], dim=1)

# %%
def grad_z1(da1, z1):
    columns = [da1[:, j] * (z1[:, j] > 0) for j in range(z1.shape[1])]
    return torch.stack(columns, dim=1)

# %%
def grad_w1(x, dz1):
    return torch.column_stack([x.T @ dz1[:, j] for j in range(50)])

# %%
def grad_b1(dz1):
    return torch.tensor([[float(dz1[:, j].sum()) for j in range(50)]], dtype=dz1.dtype)
