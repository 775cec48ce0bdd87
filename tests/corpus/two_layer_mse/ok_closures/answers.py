# %%
def make_bias_gradient(axis):
    def gradient(upstream):
        return upstream.sum(axis, keepdim=True)
    return gradient
# %%
grad_b1 = make_bias_gradient(0)
# %%
grad_b2 = lambda dyhat: dyhat.sum(0, keepdim=True)
# %%
from functools import partial

def product(left, right, transpose):
    return (left.T if transpose else left) @ right
grad_w1 = partial(product, transpose=True)
