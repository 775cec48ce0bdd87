def grad_r(dg, r):
    return dg[:, :, None, None].expand_as(r) / 24
