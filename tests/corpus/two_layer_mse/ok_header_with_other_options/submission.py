# ---
# title: Homework 1: gradients
# jupyter:
#   jupytext:
#     cell_markers: region,endregion
#     split_at_heading: true
#     formats: ipynb,md:pandoc,py:sphinx
#     notebook_metadata_filter: all
#     text_representation:
#       extension: .py
#       format_name: light
# ---

# region First
import torch
# endregion

# region
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
# endregion
