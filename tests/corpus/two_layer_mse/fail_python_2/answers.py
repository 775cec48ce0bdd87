# %%
def grad_b1(dz1):
    print "shape", dz1.shape
    return dz1.sum(0, keepdim=True)
