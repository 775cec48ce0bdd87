# %%
import torch.nn.functional as F


# %%
def grad_x(dcols):
    return F.fold(dcols.transpose(1, 2), (12, 12), 3)[:, 0]


# %%
def grad_w1(cols, dz):
    return torch.einsum("npk,ncp->kc", cols, dz.reshape(len(dz), 8, 100))


# %%
def grad_cols(dz, w1):
    return torch.einsum("ncij,kc->nijk", dz, w1).reshape(len(dz), 100, 9)
