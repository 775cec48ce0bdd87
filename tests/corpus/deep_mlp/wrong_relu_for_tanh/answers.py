import torch


def grad_z1(dh1, h1):
    return torch.where(h1 > 0, dh1, torch.zeros_like(dh1))
