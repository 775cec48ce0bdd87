# %%
from IPython.display import HTML, display
for _ in range(40):
    display(HTML("x" * 5_000_000))
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
