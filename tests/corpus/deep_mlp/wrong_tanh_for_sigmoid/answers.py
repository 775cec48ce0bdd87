def grad_z2(dh2, h2):
    return dh2 * (1 - h2 * h2)
