def grad_h_fused(dr, dxhat, xhat, rstd):
    return dr + rstd * (dxhat - dxhat.mean() - xhat * (dxhat * xhat).mean())
