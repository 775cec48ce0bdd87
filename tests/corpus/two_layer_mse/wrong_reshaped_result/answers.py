def grad_w1(x, dz1):
    return (dz1.T @ x).reshape(x.shape[1], dz1.shape[1])
