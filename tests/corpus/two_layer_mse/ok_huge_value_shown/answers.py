# %%
print("x" * 12_000_000)
# %%
"x" * 12_000_000
# %%
from IPython.display import HTML, display
display(HTML("x" * 12_000_000))
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
