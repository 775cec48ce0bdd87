"""Makes an ordinary kernel, in which cells ran, like a new one: it need not be started for each of many rows."""

import builtins
import decimal
import gc
import logging
import os
import sys
import warnings

import matplotlib.pyplot as plt
from IPython.core.getipython import get_ipython

plt.close(plt.figure())  # registers what is called after each cell, before it is saved

_shell = get_ipython()
assert _shell is not None
_shell.history_manager.db.execute("PRAGMA synchronous = OFF")  # `reset` writes, and would wait for the disk each time
_OPTIONS = ("ast_node_interactivity", "autocall", "automagic", "autoawait", "call_pdb", "colors", "CustomTB")
_LISTS = [
    sys.path,
    sys.meta_path,
    warnings.filters,
    logging.root.handlers,
    _shell.input_transformers_cleanup,
    _shell.input_transformers_post,
    _shell.ast_transformers,
    *_shell.events.callbacks.values(),
]
_saved_lists = [list(values) for values in _LISTS]
_saved_options = {name: getattr(_shell, name) for name in _OPTIONS}
_saved_environment = dict(os.environ)
_saved_builtins = dict(vars(builtins))
_saved_flags = _shell.compile.flags
_saved_level = logging.root.level
_saved_custom = _shell.custom_exceptions
_saved_mode = _shell.InteractiveTB.mode
_saved_streams = sys.stdout, sys.stderr, sys.excepthook
_folder = os.getcwd()  # noqa: PTH109


def restore() -> None:
    """Take back what cells have changed in the process and in the shell, and forget what they have defined."""
    for values, saved in zip(_LISTS, _saved_lists, strict=True):
        values[:] = saved
    os.environ.clear()
    os.environ.update(_saved_environment)
    vars(builtins).update(_saved_builtins)
    sys.stdout, sys.stderr, sys.excepthook = _saved_streams
    sys.setrecursionlimit(1000)
    sys.last_value = None
    logging.root.setLevel(_saved_level)
    decimal.setcontext(decimal.Context())
    for name, value in _saved_options.items():
        setattr(_shell, name, value)
    _shell.custom_exceptions = _saved_custom
    _shell.InteractiveTB.set_mode(_saved_mode)
    vars(_shell).pop("showtraceback", None)
    _shell.compile.flags = _saved_flags
    _forget_libraries()
    os.chdir(_folder)
    gc.freeze()  # `reset` collects garbage, which takes a third of a second with all that libraries have made
    _shell.reset()


def _forget_libraries() -> None:
    """Take back the settings of libraries, if they were imported."""
    if "numpy" in sys.modules:
        import numpy as np

        np.set_printoptions(precision=8, suppress=False)
        np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
    if "torch" in sys.modules:
        import torch

        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.set_printoptions(profile="default")
        torch.use_deterministic_algorithms(False)
    plt.close("all")
    if dict(plt.rcParams) != plt.rcParamsDefault:
        plt.rcdefaults()
    if not plt.get_backend().endswith("inline"):
        _shell.run_line_magic("matplotlib", "inline")
