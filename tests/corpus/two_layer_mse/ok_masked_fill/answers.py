# %%
def grad_z1(da1, z1):
    return da1.masked_fill(z1 <= 0, 0.0)
# %%
def grad_yhat(yhat, y):
    d = yhat.clone()
    d -= y
    d *= 2
    d /= d.size(0)
    return d
