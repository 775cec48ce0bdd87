"""
What the judge, conductors and kernels all need. The warm process imports it before it forks any of them.

It must not look for IPython's shell, nor turn any switch of PyTorch's: the judge has what is imported here as it is.
"""

# These modules are imported for those that are forked. Those that do not import torch come first.
# ruff: noqa: F401, I001

from __future__ import annotations

from grader.execution.ahead import torch_loading

with torch_loading():
    import IPython.core.completer
    import ipykernel.kernelapp
    import jupytext
    import matplotlib.axes
    import matplotlib.backend_bases
    import matplotlib.figure
    import matplotlib.image
    import nbclient
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
