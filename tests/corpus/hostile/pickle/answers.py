# %%
class Bomb:
    def __reduce__(self):
        import os
        return os.system, ("touch @MARKER@",)
def grad_b1(dz1):
    return Bomb()
# %%
class LateBomb(torch.Tensor):
    def __reduce_ex__(self, protocol):
        import os
        return os.system, ("touch @MARKER@",)
def grad_b2(dyhat):
    return dyhat.sum(0, keepdim=True).as_subclass(LateBomb)
