# %% delete: grad_w1
# %%
def gradient_w1(x, dz1):
    return x.T @ dz1
