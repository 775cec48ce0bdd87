# %%
def grad_z(dp, z, p):
    up = p.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return dp.repeat_interleave(2, 2).repeat_interleave(2, 3) * (z != up)
