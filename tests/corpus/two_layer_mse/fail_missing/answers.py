# %% delete: grad_w1
