def grad_z1(da1, z1):
    mask = da1 * z1 > 0
    return mask.to(da1.dtype)
