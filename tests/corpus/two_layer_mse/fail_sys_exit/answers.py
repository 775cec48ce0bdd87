# %%
import sys
sys.exit()
# %%
def grad_b1(dz1):
    sys.exit()
