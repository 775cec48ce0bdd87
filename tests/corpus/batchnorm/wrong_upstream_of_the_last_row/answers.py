import torch


def grad_xhat(dout, gamma):
    for row in dout:
        upstream = row
    return torch.ones_like(dout) * upstream * gamma
