import torch


def grad_v(a, do):
    dv = torch.zeros_like(do)
    for token in range(6):
        dv[:, token] = (a[:, :, token, None] * do).sum(dim=1)
    return dv
