def grad_z_fused(dxhat, xhat, var):
    std = (var + EPS).sqrt()
    mean = dxhat.mean(dim=0, keepdim=True)
    return dxhat - mean - xhat * (dxhat * xhat).mean(dim=0, keepdim=True) / std
