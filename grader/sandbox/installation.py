"""
Which parts of the file system a kernel may see: what Python needs to run, and nothing else.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["OWN_PACKAGE", "View", "allowed_trees", "own_folders", "view_of_installation"]

OWN_PACKAGE = __name__.partition(".")[0]
"""The top-level package that this module belongs to. It also begins the names of folders and groups that we make."""

_SYSTEM = (
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/local/bin",
    "/usr/share/fonts",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/usr/share/terminfo",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/nix/store",
)
_SHARED_PREFIXES = ("/", "/usr", "/usr/local")
"""Prefixes that contain more than a Python installation: a kernel sees only those of their folders listed above."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """
    What a kernel sees, at the same paths as outside of the sandbox.

    Attributes:
        trees: Folders with all that is in them, and files, to be read only. None of them is inside another.
        links: Symbolic links of the top level, such as `/lib` → `usr/lib`.
        hidden: Paths inside the trees that the kernel must not see.
    """

    trees: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...]
    hidden: tuple[Path, ...]


def view_of_installation(*, hide: Iterable[Path] = ()) -> View:
    """
    What this interpreter needs: itself, its standard library, every folder on `sys.path`, and shared libraries.

    If our own package is installed as editable, only its folder is included, and not the repository around it.

    Args:
        hide: Paths that no kernel may see.
    """
    wanted: list[Path] = []
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    wanted += [Path(prefix) for prefix in prefixes if os.path.normpath(prefix) not in _SHARED_PREFIXES]
    for entry in map(Path, sys.path):
        if not entry.is_absolute() or not entry.exists() or str(entry) in _SHARED_PREFIXES:
            continue
        is_installation = entry.name in ("site-packages", "dist-packages") or any(
            entry.is_relative_to(prefix) for prefix in prefixes
        )
        if is_installation or entry.is_file():
            wanted.append(entry)
    wanted += own_folders()
    links: list[tuple[Path, str]] = []
    for path in map(Path, _SYSTEM):
        if path.is_symlink() and len(path.parts) == 2:
            links.append((path, str(path.readlink())))
        elif path.exists():
            wanted.append(path)
    trees = _outermost(spelling for path in wanted for spelling in {path, path.resolve()})
    existing = [path.resolve() for path in hide if path.exists()]
    hidden = _outermost(path for path in existing if any(path.is_relative_to(tree) for tree in trees))
    return View(trees=trees, links=tuple(links), hidden=hidden)


def own_folders() -> tuple[Path, ...]:
    """The folder of `OWN_PACKAGE`, with links resolved; more than one if it is a namespace package."""
    return tuple(Path(folder).resolve() for folder in sys.modules[OWN_PACKAGE].__path__)


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    kept: list[Path] = []
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
    return tuple(kept)


def allowed_trees(view: View) -> Sequence[Path]:
    """
    The trees without the hidden paths, for a kernel without a private root, in which nothing can be masked.

    A folder with a hidden path in it is replaced by the entries that may be seen.
    """
    allowed: list[Path] = []
    pending = list(view.trees)
    while pending:
        path = pending.pop()
        if path in view.hidden:
            continue
        if any(hidden.is_relative_to(path.resolve()) for hidden in view.hidden):
            pending.extend(path.iterdir())
        else:
            allowed.append(path)
    return tuple(allowed)
