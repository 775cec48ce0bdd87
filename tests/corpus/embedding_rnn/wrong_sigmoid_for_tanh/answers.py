def grad_z2(dh2, h2):
    slope = h2 - h2**2
    return dh2 * slope
