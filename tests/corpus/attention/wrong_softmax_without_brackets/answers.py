def grad_s(da, a):
    along = (da * a).sum(dim=-1, keepdim=True)
    return a * da - along
