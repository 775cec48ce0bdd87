import torch


def grad_w1(x, dz1):
    pixels = x.to(torch.bfloat16)
    return pixels.to(dz1.dtype).T @ dz1
