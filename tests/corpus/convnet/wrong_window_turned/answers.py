def grad_x(dcols):
    parts = dcols.reshape(-1, 10, 10, 3, 3)
    dx = dcols.new_zeros(len(dcols), 12, 12)
    for a in range(3):
        for b in range(3):
            dx[:, a : a + 10, b : b + 10] += parts[:, :, :, b, a]
    return dx
