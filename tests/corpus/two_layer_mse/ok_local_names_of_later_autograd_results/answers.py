# %%
def grad_w1(x, dz1):
    dw1 = x.T @ dz1
    return dw1

# %%
def grad_b1(dz1):
    db1 = dz1.sum(0, keepdim=True)
    return db1

# %%
leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
dw1 = torch.autograd.grad(forward(x, y, **leaves)["loss"], leaves["w1"])[0]
db1 = torch.autograd.grad(forward(x, y, **leaves)["loss"], leaves["b1"])[0]
