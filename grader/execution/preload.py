"""
What the process that kernels are forked from imports and does once, so that no kernel has to.

Only that process may import this module. `grader.sandbox` imports it there after the shell was made, which matplotlib's
inline backend looks for, and calls its functions.
"""

# Most of these modules are imported for the kernels alone.
# ruff: noqa: F401

from __future__ import annotations

import functools
import io
import os
import random
from typing import Any

import IPython.core.completer
import matplotlib.pyplot as plt
import matplotlib_inline.backend_inline
import numpy as np
import numpy.random
import safetensors.torch
import torch

from grader.execution.conductor import conduct
from grader.harness.serve import serve, warm_up
from grader.reference.mnist import prepare_mnist

__all__ = ["begin", "conduct", "prepare", "serve", "settle"]


def prepare(*, watched: bool) -> None:
    """
    Do what every notebook needs, before the first kernel is forked.

    Args:
        watched: Whether anybody looks at figures. If not, they are not drawn after each cell.
    """
    torch.set_num_threads(1)
    torch.zeros(8).half().sum()  # reads /proc/cpuinfo, which a kernel cannot see
    torch.compile = _compile
    prepare_mnist()
    plt.switch_backend(os.environ["MPLBACKEND"])
    if not watched:
        plt.uninstall_repl_displayhook()


def _compile(model: Any = None, **options: Any) -> Any:
    """In place of `torch.compile`, which fails without a compiler, after seconds: what it is given runs as it is."""
    return functools.partial(_compile, **options) if model is None else model


def settle() -> None:
    """Do what takes longer, once for all kernels after the first: call a function, and find fonts and colours."""
    warm_up()
    plt.figure(figsize=(1, 1))
    plt.imshow([[0, 1]])
    plt.plot([0, 1])
    plt.title("0")
    plt.savefig(io.BytesIO(), format="png")
    plt.close("all")


def begin(*, seed: int) -> None:
    """Seed the generators of random numbers, which all kernels would share: they were made before the fork."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
