# %%
def grad_z(dp, z, p):
    dz = torch.zeros_like(z)
    for a in (0, 1):
        for b in (0, 1):
            dz[:, :, a::2, b::2] = dp * (z[:, :, a::2, b::2] >= p)
    return dz


# %%
def grad_w1(cols, dz):
    c = cols.reshape(-1, 10, 10, 9)
    total = torch.zeros(9, 8, dtype=dz.dtype)
    for i in range(10):
        for j in range(10):
            total += c[:, i, j].T @ dz[:, :, i, j]
    return total
