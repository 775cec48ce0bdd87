# Costs: grad_yhat grad_b1 grad_b2 grad_z1 grad_a1 grad_w2
# Exceptions that cannot be shown, name themselves oddly, are groups of groups, or have a chain without an end.
# %%
class Meta(type):
    def __getattribute__(cls, name):
        if name in ("__qualname__", "__name__", "__module__"):
            return ["\ud800", 5e-324, "\x1b[2J::error::x"]
        return super().__getattribute__(name)
class Odd(Exception, metaclass=Meta):
    def __str__(self):
        return "\ud83d" * 5_000 + "\x00\x1b]0;owned\x07\u202e##[error]"
# %%
def grad_yhat(yhat, y):
    raise Odd()
# %%
def grad_b1(dz1):
    class Text(str):
        def __getitem__(self, _):
            return Text("y" * 10_000_000)
        def __len__(self):
            return -1
    class Strange(Exception):
        def __str__(self):
            return Text("x" * 3_000_000)
    raise Strange
# %%
def grad_b2(dyhat):
    class Unshowable(BaseException):
        def __str__(self):
            raise self
        __repr__ = __str__
    raise Unshowable
# %%
def grad_z1(da1, z1):
    import sys
    sys.setrecursionlimit(10_000)
    def deep(n):
        if n == 0:
            raise ValueError("\ud800\udfff" * 1000)
        try:
            deep(n - 1)
        except ValueError as error:
            raise ValueError(n) from error
    deep(1500)
# %%
def grad_a1(dyhat, w2):
    first, second = KeyError("\x9b31m"), KeyError()
    first.__context__, second.__cause__, first.__cause__ = second, first, second
    raise first
# %%
def grad_w2(a1, dyhat):
    raise GeneratorExit(float("nan"), 10 ** 4000)
