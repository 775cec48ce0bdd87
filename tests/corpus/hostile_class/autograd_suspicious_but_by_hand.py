# Costs: nothing
# Looks like autograd, and is not: words in names and texts, differences, einsum, numpy, a node of its own, pools.
# %%
import numpy as np
class Tape:
    """A tape of its own: backward() without torch."""
    def __init__(self): self.grad_fn = []
    def record(self, f): self.grad_fn.append(f)
    def backward(self, d):
        for f in reversed(self.grad_fn): d = f(d)
        return d
# %%
def grad_yhat(yhat, y):
    error = (yhat - y).requires_grad_(False)
    return 2 * error / len(error)
# %%
def grad_b2(dyhat):
    text = "loss.backward(); torch.autograd.grad"
    return torch.from_numpy(np.asarray(dyhat.numpy()).sum(axis=0, keepdims=True))
# %%
def grad_z1(da1, z1):
    with torch.inference_mode(False):
        return torch.where(z1 > 0, da1, torch.zeros_like(da1)).detach()
# %%
def grad_w1(x, dz1):
    with torch.no_grad():
        return torch.einsum("ni,nj->ij", x, dz1)
# %%
def grad_b1(dz1):
    tape = Tape()
    tape.record(lambda d: d.sum(0, keepdim=True))
    return tape.backward(dz1)
