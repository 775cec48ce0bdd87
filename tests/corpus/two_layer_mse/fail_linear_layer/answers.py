# %%
grad_b1 = torch.nn.Linear(50, 1)
