#!/usr/bin/env python
"""Homework: gradients.

def is a word of Python, and
import is another.
"""
import torch


def grad_yhat(yhat, y):
    return 2 * (yhat - y) / yhat.shape[0]


# copy of the rule for w1,
# with a1 in place of x
def grad_w2(a1, dyhat):
    return a1.T @ dyhat


def grad_b2(dyhat):
    return dyhat.sum(0, keepdim=True)


def grad_a1(dyhat, w2):
    return dyhat @ w2.T


def grad_z1(da1, z1):
    mask = z1 > 0

# cat says: a note at the margin

    return da1 * mask


def grad_w1(x, dz1):
    return x.T @ dz1


# right?
@torch.no_grad()
# !important
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
# echo of the above


if __name__ == "__main__":
    print(grad_b1(torch.ones(3, 2)))
