# %%
def grad_w1(x, dz1):
        dw1 = x.T @ dz1
	return dw1
