# %%
import sys, threading, subprocess, logging, warnings, collections

subprocess.run([sys.executable, "--version"], check=True)


def train():
    leaf = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([leaf], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        ((leaf - 1) ** 2).sum().backward()
        optimizer.step()


worker = threading.Thread(target=train)
worker.start()
worker.join()
train()


@torch.library.custom_op("mine::rows_backward", mutates_args=())
def rows_backward(d: torch.Tensor) -> torch.Tensor:
    return d.sum(0, keepdim=True)
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
    return rows_backward(dz1)
