import torch


def grad_w1(cols, dz):
    dw1 = torch.einsum("nwp,nfw->pf", cols, dz.flatten(2))
    return dw1.flip(0)
