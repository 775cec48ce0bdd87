# %%
def grad_x(dq, dk, dv, wq, wk, wv):
    return dq @ wq.T + dv @ wv.T
