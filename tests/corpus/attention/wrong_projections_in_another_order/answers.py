import torch


def grad_projections(x, dq, dk, dv):
    return tuple(torch.einsum("nti,ntj->ij", x, d) for d in (dk, dv, dq))
