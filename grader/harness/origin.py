"""
Finds the code that runs when a student's function is called, whichever way the function got its name.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

__all__ = ["code_of", "codes_of", "is_own_raise", "place_of"]

_DEPTH = 10
_RAISE = dis.opmap["RAISE_VARARGS"]


def code_of(function: Any, name: str) -> types.CodeType | None:
    """
    The code behind a callable: of what a decorator wraps, of a method, of what `functools.partial` holds.

    None of the callable's own code runs: nobody watches yet what it does.

    Args:
        name: The name that the callable has in the notebook. A wrapper that does not say what it wraps may hold a
            function of that name.

    Returns:
        None if it is not written in Python, or not known.
    """
    with contextlib.suppress(Exception):  # a student's object may raise in any operation
        for _ in range(_DEPTH):
            inner = _inside(function)
            if inner is None:
                break
            function = inner
        if type(function) is types.FunctionType:
            return _held(function, name, _DEPTH) or function.__code__
    return None


def _inside(function: Any) -> Any:
    """The callable that another one passes its arguments to; None if it is not known to."""
    wrapped = inspect.getattr_static(function, "__wrapped__", None)
    if callable(wrapped):
        return wrapped
    if type(function) is functools.partial:
        return function.func
    if type(function) is types.MethodType:
        return function.__func__
    called = inspect.getattr_static(type(function), "__call__", None)
    return called if type(called) is types.FunctionType else None


def _held(function: Any, name: str, depth: int) -> types.CodeType | None:
    """The code of the function called `name` among a function and those that it holds in its closure."""
    if type(function) is not types.FunctionType or not depth:
        return None
    if function.__code__.co_name == name:
        return function.__code__
    for cell in function.__closure__ or ():
        try:
            code = _held(cell.cell_contents, name, depth - 1)
        except ValueError:  # the variable has no value yet
            continue
        if code is not None:
            return code
    return None


def place_of(function: Any, name: str, cells: Mapping[str, int]) -> list[int] | None:
    """
    Where the code of a callable begins: the number of its cell and the line there.

    Args:
        cells: The numbers of the notebook's cells by the file names that Python knows them by.

    Returns:
        `[0, line]` if it is not in a cell; None if it is not known.
    """
    code = code_of(function, name)
    return None if code is None else [cells.get(code.co_filename, 0), code.co_firstlineno]


def is_own_raise(error: BaseException, function: Any, name: str) -> bool:
    """
    Whether a `raise` in the function's own code raised an exception: not a helper, and not a function of torch.

    A released cell may have several blanks, in helpers or in the methods of a class: they count, too.

    >>> def grad_w1():
    ...     raise NotImplementedError
    >>> try:
    ...     grad_w1()
    ... except NotImplementedError as error:
    ...     is_own_raise(error, grad_w1, "grad_w1")
    True
    """
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return False
    code = step.tb_frame.f_code
    if code.co_code[step.tb_lasti] != _RAISE:
        return False
    is_blank_of_cell = str(error) == f"{name} is still blank" and code.co_filename in _files_of(function, name)
    return code.co_name == name or code is code_of(function, name) or is_blank_of_cell


def codes_of(function: Any, name: str) -> list[types.CodeType]:
    """The code behind a callable, or that of each method of a class; see `code_of`."""
    parts = list(vars(function).values()) if issubclass(type(function), type) else [function]
    return [code for code in (code_of(part, name) for part in parts) if code is not None]


def _files_of(function: Any, name: str) -> set[str]:
    """The files, or cells, of a function's code, or of the code of a class's methods."""
    return {code.co_filename for code in codes_of(function, name)}
