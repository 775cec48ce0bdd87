def grad_wh(h0, dz1, h1, dz2):
    return h0.T @ dz1.sum(dim=0, keepdim=True) + h1.T @ dz1
