"""
What the judge, conductors and kernels all need. The warm process imports it before it forks any of them.

It must not look for IPython's shell, nor turn any switch of PyTorch's: the judge has what is imported here as it is.
"""

# These modules are imported for those that are forked.
# ruff: noqa: F401

from __future__ import annotations

import PIL.Image
import pygments.lexers.python
import safetensors.torch

import grader.execution.messages
import grader.notebook.functions
import grader.notebook.read
from grader.reference.mnist import read_split

__all__ = ["IMAGES"]

IMAGES = read_split("test")
"""The images as they are in the files: whoever asks for them gets these."""
