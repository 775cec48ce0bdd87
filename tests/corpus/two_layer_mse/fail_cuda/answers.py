# %%
def grad_w1(x, dz1):
    return (x.to("cuda:7").T @ dz1.to("cuda:7")).cpu()
