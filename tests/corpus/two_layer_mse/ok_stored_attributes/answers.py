# %%
from types import SimpleNamespace

tape = SimpleNamespace()

# %%
def grad_yhat(yhat, y):
    tape.N = yhat.shape[0]
    tape.dyhat = 2 * (yhat - y) / tape.N
    return tape.dyhat

# %%
def grad_w2(a1, dyhat):
    a1.g = dyhat
    return a1.T @ a1.g

# %%
def grad_b2(dyhat):
    grad_b2.last = dyhat.sum(0, keepdim=True)
    return grad_b2.last

# %%
def grad_a1(dyhat, w2):
    tape.dyhat, tape.w2 = dyhat, w2
    return tape.dyhat @ tape.w2.T

# %%
def grad_z1(da1, z1):
    z1.mask = z1 > 0
    tape.dz1 = da1 * z1.mask
    return tape.dz1

# %%
def grad_w1(x, dz1):
    tape.x, tape.dz1 = x, dz1
    return tape.x.T @ tape.dz1

# %%
def grad_b1(dz1):
    tape.dz1 = dz1
    tape.db1 = tape.dz1.sum(0, keepdim=True)
    return tape.db1
