def grad_o(dlogits, wo, o):
    tokens = o.shape[1] - 1
    return (dlogits @ wo.T)[:, None].expand_as(o) / tokens
