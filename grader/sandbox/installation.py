"""
Which parts of the file system a kernel may see: what Python needs to run, and nothing else.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["View", "view_of_installation"]

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
"""Prefixes that hold more than a Python installation: only what is listed above is taken from them."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """
    What is shown, at the path where it is.

    Attributes:
        trees: Folders and files, shown read-only with all that is in them. None is within another.
        links: Symbolic links of the top level, `/lib` → `usr/lib`.
        hidden: Paths within the trees that are masked.
    """

    trees: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...]
    hidden: tuple[Path, ...]


def view_of_installation(*, hide: Iterable[Path] = ()) -> View:
    """
    What this interpreter needs: itself, its standard library, every folder on `sys.path`, and shared libraries.

    Of a package that is installed as editable only its own folder is shown, never the repository around it.
    """
    wanted: list[Path] = []
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    wanted += [Path(prefix) for prefix in prefixes if os.path.normpath(prefix) not in _SHARED_PREFIXES]
    package = Path(__file__).resolve().parent.parent
    for entry in map(Path, sys.path):
        if not entry.is_absolute() or not entry.exists() or str(entry) in _SHARED_PREFIXES:
            continue
        is_installation = entry.name in ("site-packages", "dist-packages") or any(
            entry.is_relative_to(prefix) for prefix in prefixes
        )
        if is_installation or entry.is_file():
            wanted.append(entry)
    wanted.append(package)
    links: list[tuple[Path, str]] = []
    for path in map(Path, _SYSTEM):
        if path.is_symlink() and len(path.parts) == 2:
            links.append((path, str(path.readlink())))
        elif path.exists():
            wanted.append(path)
    trees = _outermost(both for path in wanted for both in {path, path.resolve()})
    covered = [path.resolve() for path in hide if path.exists()]
    hidden = _outermost(path for path in covered if any(path.is_relative_to(tree) for tree in trees))
    return View(trees=trees, links=tuple(links), hidden=hidden)


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    kept: list[Path] = []
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)


def allowed_trees(view: View) -> Sequence[Path]:
    """The trees without what is hidden: where nothing can be masked, siblings are allowed one by one."""
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
