# %%
import sys, threading, subprocess, logging, warnings, collections

subprocess.run([sys.executable, "--version"], check=True)


def train():
    leaf = torch.zeros(3, requires_grad=True)
    for _ in range(3):
        ((leaf - 1) ** 2).sum().backward()
        with torch.no_grad():
            leaf -= 0.1 * leaf.grad
        leaf.grad = None


worker = threading.Thread(target=train)
worker.start()
worker.join()
train()


library = torch.library.Library("mine", "DEF")
library.define("rows_backward(Tensor d) -> Tensor")
library.impl("rows_backward", lambda d: d.sum(0, keepdim=True), "CompositeExplicitAutograd")
# %%
def grad_w2(a1, dyhat):
    import gc, inspect, numpy, traceback
    gc.collect()
    inspect.signature(grad_w1), traceback.format_stack()
    return torch.from_numpy(numpy.einsum("ni,nj->ij", a1.numpy(), dyhat.numpy()))
# %%
def grad_b2(dyhat):
    Pair = collections.namedtuple("Pair", "rows columns")
    warnings.warn("a warning")
    logging.getLogger("mine").warning("a message")
    return dyhat.sum(Pair(0, 1).rows, keepdim=True)
# %%
def grad_z1(da1, z1):
    with torch.inference_mode(False), torch.enable_grad():
        leaf = torch.zeros(1, 1, dtype=z1.dtype, requires_grad=True)
        hidden = leaf + z1.clone()
        assert hidden.grad_fn is not None and hidden.grad_fn.name() and repr(hidden)
    torch.log_softmax(torch.softmax(z1, -1), -1)
    return da1 * (z1 > 0)
# %%
def grad_w1(x, dz1):
    import matplotlib
    matplotlib.use("agg")
    from matplotlib import pyplot
    pyplot.plot([0, 1])
    pyplot.close()
    return x.T @ dz1
# %%
def grad_b1(dz1):
    return torch.ops.mine.rows_backward(dz1)
