# %%
grad_b2 = 0
