def grad_cols(dz, w1):
    rows = dz.reshape(len(dz), 100, 8)
    return rows @ w1.T
