# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
# %%
checked = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
forward(x, y, **checked)["loss"].backward()
print(torch.allclose(checked["w1"].grad, dw1, atol=1e-5))
