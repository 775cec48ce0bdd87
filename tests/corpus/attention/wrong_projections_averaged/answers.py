# %%
def grad_projections(x, dq, dk, dv):
    return tuple((x.mT @ d).mean(0) for d in (dq, dk, dv))
