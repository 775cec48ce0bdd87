# %%
factor = 1.0
%store factor
# %%
del factor
%store -r factor
# %%
%rehashx
FACTOR = factor
# %%
def grad_b1(dz1):
    return FACTOR * dz1.sum(0, keepdim=True)
