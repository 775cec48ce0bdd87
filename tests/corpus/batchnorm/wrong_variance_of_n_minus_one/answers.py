def grad_z(dxhat, dvar, dmean, z, mean, var):
    n = len(z)
    return dxhat * (var + EPS) ** -0.5 + 2 * dvar * (z - mean) / (n - 1) + dmean / n
