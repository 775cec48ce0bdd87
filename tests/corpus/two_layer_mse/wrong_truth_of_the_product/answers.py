def grad_z1(da1, z1):
    return da1 * z1 > 0
