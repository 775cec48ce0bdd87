# %%
def grad_z(dp, z, p):
    return dp.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
