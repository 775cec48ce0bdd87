# %%
def grad_z_fused(dxhat, xhat, var):
    columns = []
    for j in range(xhat.shape[1]):
        d, h = dxhat[:, j], xhat[:, j]
        columns.append((d - d.mean() - h * (d @ h) / len(d)) / (var[0, j] + EPS).sqrt())
    return torch.stack(columns, dim=1)
