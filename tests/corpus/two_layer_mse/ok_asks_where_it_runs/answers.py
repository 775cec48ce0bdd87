# %%
import sys
shell = get_ipython().__class__.__name__
if shell != "ZMQInteractiveShell":
    raise RuntimeError(f"this notebook needs Jupyter, not {shell}")
assert "ipykernel" in sys.modules and "IPKernelApp" in get_ipython().config
assert sys.argv[0].endswith("ipykernel_launcher.py") and "" in sys.path
IN_JUPYTER = 1.0
# %%
def grad_b1(dz1):
    return IN_JUPYTER * dz1.sum(0, keepdim=True)
