# %%
import numpy as np
def grad_w1(x, dz1):
    return torch.from_numpy(np.dot(x.numpy().T, dz1.numpy()))
# %%
def grad_b1(dz1):
    return torch.tensor(dz1.numpy().sum(axis=0, keepdims=True))
