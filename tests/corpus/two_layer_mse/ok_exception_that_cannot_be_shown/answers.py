# %%
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("not today")
raise Odd
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
