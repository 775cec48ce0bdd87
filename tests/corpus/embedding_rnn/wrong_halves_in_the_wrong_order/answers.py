# %%
def grad_e(dz1, dz2, wx):
    return dz2 @ wx.T, dz1 @ wx.T
