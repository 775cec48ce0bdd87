# %%
import builtins
original = builtins.__import__
def guard(name, *arguments, **options):
    if name.partition(".")[0] not in ("torch", "math"):
        raise ImportError(f"{name} is not allowed here")
    return original(name, *arguments, **options)
builtins.__import__ = guard
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
