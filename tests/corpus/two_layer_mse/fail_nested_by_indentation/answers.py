# %% delete: grad_b1

# %%
def grad_w1(x, dz1):
    return x.T @ dz1

    def grad_b1(dz1):
        return dz1.sum(0, keepdim=True)
