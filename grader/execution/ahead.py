"""
Loads PyTorch's largest library while Python imports other modules.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

__all__ = ["torch_loading"]

_LIBRARY = Path("lib", "libtorch_cpu.so")


@contextlib.contextmanager
def torch_loading() -> Iterator[None]:
    """
    Load PyTorch's largest library in a thread, which has ended when the context is left. Import torch only then.

    Loading takes a fifth of the time of `import torch`, and needs nothing of Python's. But `import` holds the
    interpreter's lock meanwhile, and calling `dlopen` from here does not. If the library is elsewhere, or needs others
    that only `import torch` can find, nothing is loaded.
    """
    spec = find_spec("torch")
    path = Path(spec.origin or "").parent / _LIBRARY if spec is not None else _LIBRARY
    if not path.is_absolute() or not path.exists():
        yield
        return
    thread = threading.Thread(target=_load, args=(path,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _load(path: Path) -> None:
    function = ctypes.CDLL(None).dlopen
    function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    function(os.fsencode(path), os.RTLD_NOW)  # Python's own loading of it then finds it loaded
