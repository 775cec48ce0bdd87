import torch


def grad_logp(logp, y):
    dlogp = torch.zeros_like(logp)
    dlogp[torch.arange(len(y)), y] = -1 / (len(y) * torch.log(torch.tensor(2.0, dtype=torch.float64)).item())
    return dlogp
