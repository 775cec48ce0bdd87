# %%
import sys
line = "x" * 10_000
while True:
    print(line)
# %%
def grad_b1(dz1):
    import os
    for _ in range(300):
        print("y" * 10_000)
        os.write(2, b"z" * 10_000)
    return dz1.sum(0, keepdim=True)
