# %%
from torch import Tensor

# %%
def grad_yhat(yhat: Tensor, y: Tensor) -> Tensor:
    """
    Gradient of the loss with respect to yhat.

    loss = 1/N sum_n (yhat_n - y_n)^2, so each entry appears in one square only.
    """
    N: int = yhat.shape[0]
    return 2 * (yhat - y) / N

# %%
def grad_w2(a1: "Tensor", dyhat: "Tensor") -> "Tensor":
    def one_sample(n: int) -> Tensor:
        return a1[n][:, None] * dyhat[n]
    return sum(one_sample(n) for n in range(len(a1)))

# %%
def grad_b2(dyhat: Tensor, *, keepdim: bool = True) -> Tensor:
    return dyhat.sum(0, keepdim=keepdim)

# %%
def grad_a1(dyhat: Tensor, w2: Tensor, /) -> Tensor:
    return dyhat @ w2.mT

# %%
def grad_z1(da1: Tensor, z1: Tensor, at_zero: float = 0.0) -> Tensor:
    slope = torch.where(z1 > 0, 1.0, 0.0)
    slope[z1 == 0] = at_zero
    return da1 * slope

# %%
def grad_w1(x: Tensor, dz1: Tensor) -> Tensor:
    return x.mT @ dz1

# %%
def grad_b1(dz1: Tensor) -> Tensor:
    return dz1.sum(0, keepdim=True)
