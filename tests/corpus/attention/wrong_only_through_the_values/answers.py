# %%
def grad_x(dq, dk, dv, wq, wk, wv):
    return dv @ wv.T
