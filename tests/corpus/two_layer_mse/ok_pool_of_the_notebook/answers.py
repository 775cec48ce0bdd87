# %%
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)
print(list(pool.map(abs, [-1, 2])))


def grad_b1(dz1):
    return torch.stack(list(pool.map(torch.sum, dz1.T)))[None]
