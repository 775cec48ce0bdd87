def grad_w1(x, dz1):
    dw1 = dz1.new_zeros(x.shape[1], dz1.shape[1])
    for unit in range(dz1.shape[1] - 1):
        dw1[:, unit] = x.T @ dz1[:, unit]
    return dw1
