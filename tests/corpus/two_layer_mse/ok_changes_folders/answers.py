# %%
import os
os.makedirs("work/deeper", exist_ok=True)
# %%
%cd work
# %%
%pushd deeper
%bookmark here
%popd
%cd -b here
%dhist
# %%
%cd -q ..
FACTOR = 1.0
# %%
def grad_b1(dz1):
    return FACTOR * dz1.sum(0, keepdim=True)
