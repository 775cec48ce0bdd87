# %% delete: grad_w1

# %% delete: grad_b1

# %%
class Gradients:
    def grad_w1(self, x, dz1):
        return x.T @ dz1

    def grad_b1(self, dz1):
        return dz1.sum(0, keepdim=True)
