# %%
grad_b1 = torch.zeros(1, 50)
