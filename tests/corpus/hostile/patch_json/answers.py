# %%
import json, struct
json.dumps = json.loads = lambda *a, **k: 1 / 0
# %%
def grad_b1(dz1):
    return dz1 * 0
