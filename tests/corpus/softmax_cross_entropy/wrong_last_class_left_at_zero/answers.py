import torch


def grad_w2(a1, dlogits):
    classes = [a1.T @ dlogits[:, label] for label in range(9)]
    return torch.stack([*classes, torch.zeros_like(classes[0])], dim=1)
