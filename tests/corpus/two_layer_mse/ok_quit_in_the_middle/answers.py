# %%
quit()
FACTOR = 1.0
# %%
def grad_b1(dz1):
    return FACTOR * dz1.sum(0, keepdim=True)
get_ipython().ask_exit()
# %%
def grad_b2(dyhat):
    return FACTOR * dyhat.sum(0, keepdim=True)
