# %%
torch.manual_seed(1)
w = torch.rand(5, requires_grad=True)
(w ** 2).sum().backward()
w.grad

# %%
def loss_func(yp, yh):
    return (yp - yh).square().mean()

def forward_pass(x):
    return (x @ w1 + b1).clamp(min=0.) @ w2 + b2

# %%
import matplotlib.pyplot as plt
plt.imshow(x[0].view(28, 28), cmap="gray")
plt.show()

# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) / len(y)
