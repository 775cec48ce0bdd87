# Costs: grad_yhat grad_b1 grad_b2 grad_z1 grad_a1 grad_w2
# Functions that are none, whose code says that it stands elsewhere, and a state of IPython that nobody expects.
# %%
import types, functools
class Callable:
    __wrapped__ = property(lambda self: self)
    __code__ = property(lambda self: 1 / 0)
    __signature__ = property(lambda self: "\ud800")
    __name__ = property(lambda self: 5)
    def __call__(self, *args, **kwargs):
        return lambda: None
grad_yhat = Callable()
# %%
def grad_b1(dz1):
    return 1 / 0
grad_b1.__code__ = grad_b1.__code__.replace(co_firstlineno=2 ** 31 - 1, co_name="\ud800\x1b[2J", co_filename="\ud800::error::")
# %%
async def grad_b2(dyhat):
    yield dyhat
# %%
grad_z1 = functools.partial(functools.partial, print)
# %%
def grad_a1(dyhat, w2):
    return grad_a1
grad_a1.__wrapped__ = grad_a1
grad_a1.__dict__["__signature__"] = object()
# %%
grad_w2 = type("grad_w2", (type,), {"__call__": lambda cls, *args: cls})
get_ipython().compile._filename_map.update({"\ud800": 10 ** 400, None: "x", "a": -1, grad_b1.__code__.co_filename: 3.5})
