# %%
%%writefile sums.py
def over_rows(tensor):
    return tensor.sum(0, keepdim=True)
# %%
from sums import over_rows
# %%
def grad_b1(dz1):
    return over_rows(dz1)
