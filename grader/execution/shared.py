"""
What the judge, conductors and kernels all need. The warm process imports it before it forks any of them.

It must not look for IPython's shell, nor turn any switch of PyTorch's: the judge has what is imported here as it is.
"""

from __future__ import annotations

import safetensors.torch  # noqa: F401 - for those that are forked

import grader.execution.messages
import grader.notebook.functions
import grader.notebook.read  # noqa: F401 - likewise
from grader.reference.mnist import read_split

__all__ = ["IMAGES"]

IMAGES = read_split("test")
"""The images as they are in the files: whoever asks for them gets these."""
