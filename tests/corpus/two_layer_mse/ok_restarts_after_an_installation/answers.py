# %%
import IPython
app = IPython.Application.instance()
app.kernel.do_shutdown(True)
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
