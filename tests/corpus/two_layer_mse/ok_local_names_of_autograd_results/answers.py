# %%
leaves = [p.clone().requires_grad_() for p in parameters.values()]
dw1, db1, *rest = torch.autograd.grad(forward(x, y, **dict(zip(parameters, leaves)))["loss"], leaves)
dw1 = torch.autograd.grad(forward(x, y, **dict(zip(parameters, leaves)))["loss"], leaves[0])[0]

# %%
def grad_w1(x, dz1):
    dw1 = x.T @ dz1
    return dw1

# %%
def grad_b1(dz1):
    db1 = dz1.sum(0, keepdim=True)
    return db1
