import torch


def grad_u(dr, w2, u):
    df = dr @ w2.T
    return torch.where(u > 0, df, 0.1 * df)
