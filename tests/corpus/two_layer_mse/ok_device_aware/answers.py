# %%
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# %%
def grad_w1(x, dz1):
    x, dz1 = x.to(device), dz1.to(device)
    return (x.T @ dz1).cpu()
