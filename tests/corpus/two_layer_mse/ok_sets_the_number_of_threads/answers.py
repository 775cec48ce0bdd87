# %%
import torch
torch.set_num_threads(4)
(torch.rand(600, 600) @ torch.rand(600, 600)).exp().sum()
# %%
def grad_b1(dz1):
    torch.set_num_threads(4)
    return dz1.sum(0, keepdim=True)
