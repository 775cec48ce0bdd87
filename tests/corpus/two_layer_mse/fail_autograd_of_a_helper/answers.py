# %%
from torch.autograd import grad as derivative

def check_gradient(f, at, upstream):
    at = at.clone().requires_grad_()
    return derivative(f(at), at, upstream)[0]

# %%
def grad_w1(x, dz1):
    with torch.inference_mode(False), torch.enable_grad():
        x, dz1 = x.clone(), dz1.clone()
        return check_gradient(lambda w: x @ w, torch.zeros(784, 50, dtype=x.dtype), dz1)
