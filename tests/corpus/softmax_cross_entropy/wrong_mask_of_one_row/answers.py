def grad_z1(dlogits, w2, z1):
    is_on = z1[0] > 0
    return dlogits @ w2.T * is_on
