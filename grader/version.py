"""
The version of the grader, and hashes of its own code.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader import shipped
from grader.trees import tree_of

__all__ = ["__version__", "code_hash", "modules_behind"]

__version__ = "0.1.0"

HASHED = (".py", ".toml", ".jinja", ".css")


@functools.cache
def code_hash(roots: tuple[str, ...] = ()) -> str:
    """
    A hash of the grader's own code: of everything, or of the modules that some modules depend on.

    Args:
        roots: See `modules_behind`. If it is empty, all files are hashed, including texts and templates.

    Raises:
        ModuleNotFoundError: A root is not a module of the grader.
    """
    files = set(map(_file_of, modules_behind(roots))) if roots else set(shipped.own_files())
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.suffix in HASHED:
            name = path.relative_to(shipped.PACKAGE).as_posix()
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def modules_behind(roots: Iterable[str]) -> frozenset[str]:
    """
    The grader's modules that some modules depend on: these modules, all that they import, and so on.

    Imports are read from the code of the modules, and nothing is imported. So imports inside functions count, too.

    Args:
        roots: Names of modules, such as `grader.execution.execute`.

    Raises:
        ModuleNotFoundError: A root is not a module of the grader.
    """
    found, waiting = set[str](), [*roots]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported_by(name)
    return frozenset(found)


def _imported_by(name: str) -> Iterator[str]:
    package, _, _ = name.rpartition(".")
    if package:
        yield package  # Python imports it first
    if name == shipped.PACKAGE.name:
        return  # it imports a name only when that name is used
    for node in ast.walk(tree_of(_file_of(name).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module is not None and _is_ours(node.module):
            yield node.module
            yield from filter(_is_module, (f"{node.module}.{alias.name}" for alias in node.names))


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == shipped.PACKAGE.name


def _is_module(name: str) -> bool:
    return any(path.is_file() for path in _candidates(name))


def _file_of(name: str) -> Path:
    for path in _candidates(name):
        if path.is_file():
            return path
    raise ModuleNotFoundError(f"The grader has no module {name}.", name=name)


def _candidates(name: str) -> tuple[Path, Path]:
    path = shipped.PACKAGE.joinpath(*name.split(".")[1:])
    return path.with_name(f"{path.name}.py"), path / "__init__.py"
