# %%
class Evil(Exception):
    pass
Evil.__qualname__ = "<script>alert(1)</script>\x1b[31m"
# %%
def grad_b1(dz1):
    raise Evil("<img src=x onerror=alert(1)>\x1b]0;title\x07\u202e</script><script>alert(2)</script>" + "A" * 100_000)
# %%
class Odd:
    pass
Odd.__qualname__ = "<b>\x1b[2J"
def grad_b2(dyhat):
    return Odd()
# %%
raise Evil("\x1b[31m<script>alert(3)</script>")
