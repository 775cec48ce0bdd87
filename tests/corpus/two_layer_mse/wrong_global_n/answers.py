# %%
N, D = x.shape
H = 50

# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) / N
