# %%
import torch.nn.functional as F


# %%
def grad_x(dcols):
    total = F.fold(dcols.transpose(1, 2), (12, 12), 3)
    count = F.fold(torch.ones_like(dcols).transpose(1, 2), (12, 12), 3)
    return (total / count)[:, 0]
