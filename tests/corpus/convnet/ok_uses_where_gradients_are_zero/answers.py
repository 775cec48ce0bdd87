# %%
def grad_p(dr, p):
    return dr[:, :, :1, :1] * (p > 0)  # the average pool has spread it evenly


# %%
def grad_z(dp, z, p):
    z = z.clamp(min=0)  # where z is not positive, dp is zero anyway
    largest = p.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return dp.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) * (z == largest)
