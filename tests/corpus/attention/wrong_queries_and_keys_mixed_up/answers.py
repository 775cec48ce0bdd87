# %%
def grad_x(dq, dk, dv, wq, wk, wv):
    return dq @ wk.T + dk @ wk.T + dv @ wv.T
