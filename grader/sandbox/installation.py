"""
Which parts of a Python installation a kernel may see: what Python needs to run, what was installed, and nothing else.

An environment may stand in a folder with other things: `python -m venv .` puts one beside a course's solutions and
marks. So no folder is shown because Python is in it. Of a prefix there are the interpreter, its libraries and its data;
of a folder of packages, what its distributions have installed; of our own package, what it is told.
"""

# As in `view`, hundreds of paths are compared.
# ruff: noqa: PTH112, PTH113, PTH116, PTH117, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import contextlib
import fnmatch
import functools
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from grader.sandbox.view import Selection, Shown, View

__all__ = ["OWN_PACKAGE", "installed_names", "own_folders", "view_of_installation"]

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

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_INTERPRETERS = ("python", "python3", _PYTHON)
_PROGRAMS = (*_INTERPRETERS, "pip", "pip3", "ipython", "ipython3", "jupyter")
_LIBRARIES = ("lib*.so*", f"python{sys.version_info.major}*.zip", "engines-*", "ossl-modules")
_DATA = ("pyvenv.cfg", "share/fonts", "share/jupyter", "share/locale", "share/terminfo", "share/zoneinfo", "ssl")
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_HARMLESS = (".dist-info", ".egg-info", ".egg", ".pth")  # they describe what is installed, or say where more of it is
_OTHER_PYTHONS = ("/usr/local/lib", "/usr/lib", "/usr/lib64")
_ALWAYS_OWN = ("__init__", "__pycache__", "py.typed")


def view_of_installation(*, own: Iterable[str] = (), secrets: Iterable[Path] = ()) -> View:
    """
    What this interpreter needs: itself, its standard library, installed packages, and shared libraries.

    Args:
        own: Which modules and folders of our own package a kernel sees, besides this one's.
        secrets: Paths that no kernel may see, wherever they are.
    """
    selection = Selection()
    for path in secrets:
        selection.exclude(path)
    for path in map(Path, _SYSTEM):
        if path.is_symlink() and len(path.parts) == 2:
            selection.link(path)
        else:
            selection.show(path)
    _show_own_package(selection, own)
    for prefix in dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)):
        if os.path.normpath(prefix) not in _SHARED_PREFIXES:
            _show_prefix(selection, Path(prefix), _PROGRAMS if prefix == sys.prefix else _INTERPRETERS)
    selection.show(sys.executable)
    on_path = {os.path.realpath(entry) for entry in sys.path if os.path.isabs(entry)}
    for library in _standard_libraries():
        selection.show(library)
        selection.limit(library, functools.partial(_is_of_library, library, on_path), Shown.WHOLE)
    for entry in sys.path:
        if os.path.isabs(entry) and os.path.isdir(entry) and not _is_library(entry):
            _show_packages(selection, entry)
    _hide_other_pythons(selection, on_path)
    return selection.view()


def own_folders() -> tuple[Path, ...]:
    """The folder of `OWN_PACKAGE`, with links resolved; more than one if it is a namespace package."""
    return tuple(Path(folder).resolve() for folder in sys.modules[OWN_PACKAGE].__path__)


def _show_own_package(selection: Selection, own: Iterable[str]) -> None:
    ours = __name__.split(".")[1]
    shown = {*own, *_ALWAYS_OWN, ours}
    is_all = ours == __name__.rpartition(".")[2]  # the package is this folder alone
    for folder in own_folders():
        selection.limit(folder, lambda name: is_all or name.removesuffix(".py") in shown, Shown.FEWEST, is_listed=True)
        selection.show(folder)


def _show_prefix(selection: Selection, prefix: Path, programs: Iterable[str]) -> None:
    for name in programs:
        if not (prefix / "bin" / name).is_dir():
            selection.show(prefix / "bin" / name)
    for name in _DATA:
        selection.show(prefix / name)
    for library in (prefix / "lib", prefix / "lib64"):
        if library.is_symlink():
            selection.link(library)
        elif any(_names_in(library, _LIBRARIES)):
            selection.limit(library, _is_library_file, Shown.FEWEST)
            selection.show(library)


def _names_in(folder: Path, patterns: Iterable[str]) -> list[str]:
    return [name for name in _entries(folder) if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _is_library_file(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _LIBRARIES)


def _standard_libraries() -> list[str]:
    bases = {sys.base_prefix, sys.base_exec_prefix}
    places = {os.path.join(base, folder, _PYTHON) for base in bases for folder in ("lib", sys.platlibdir)}
    places.add(os.path.dirname(os.__file__))
    return sorted(place for place in places if os.path.isfile(os.path.join(place, "os.py")))


def _is_library(entry: str) -> bool:
    return any(f"{entry}/".startswith(f"{library}/") for library in _standard_libraries()) and not any(
        name in _PACKAGE_FOLDERS for name in entry.split("/")
    )


def _is_of_library(library: str, on_path: set[str], name: str) -> bool:
    return name not in _PACKAGE_FOLDERS or os.path.realpath(os.path.join(library, name)) in on_path


def _show_packages(selection: Selection, folder: str) -> None:
    """Of a folder in which Python finds packages, show those that were installed."""
    real = os.path.realpath(folder)
    if os.path.normpath(folder) in _SHARED_PREFIXES:
        return
    stray = os.path.join(real, OWN_PACKAGE)
    if os.path.isdir(stray) and Path(stray).resolve() not in own_folders():
        selection.exclude(stray)  # a copy of ours, or what an editable installation has put there
    selection.show(folder)
    if real.startswith(("/usr/lib/", "/usr/lib64/")):
        return  # the system's own packages, which do not say which files they have
    is_folder_of_packages = os.path.basename(real) in _PACKAGE_FOLDERS
    installed = installed_names(real)
    selection.limit(
        real,
        lambda name: _stem(name) in installed or name.endswith(_HARMLESS),
        Shown.FEWEST if is_folder_of_packages else Shown.ENTRIES,
        is_listed=is_folder_of_packages,
    )
    compiled = os.path.join(real, "__pycache__")
    selection.limit(compiled, lambda name: _stem(name) in installed, Shown.FEWEST)


def _hide_other_pythons(selection: Selection, on_path: set[str]) -> None:
    """Folders of the system may have packages of other Pythons, and other copies of ours in them."""
    for place in map(Path, _OTHER_PYTHONS):
        for name in _names_in(place, ("python3*",)):
            for packages in _PACKAGE_FOLDERS:
                folder = place / name / packages
                if not folder.is_dir() or str(folder.resolve()) in on_path:
                    continue
                selection.exclude(folder if place == Path(_OTHER_PYTHONS[0]) else folder / OWN_PACKAGE)


def installed_names(folder: str) -> frozenset[str]:
    """
    The names in a folder of packages that belong to its distributions, without what follows the first dot.

    The files in which distributions list theirs have megabytes. They are read, the short ones first, only as long as
    there is a name whose distribution is not known from less.
    """
    entries = _entries(folder)
    distributions = [name for name in entries if name.endswith((".dist-info", ".egg-info"))]
    names = {_stem(name) for name in entries if not name.endswith(_HARMLESS)}
    found = {"__pycache__", OWN_PACKAGE}
    for distribution in distributions:
        name = distribution.rpartition(".")[0].partition("-")[0]
        found |= {_stem(name), _stem(name.lower()), name.replace(".", "_")}
    lists: list[tuple[int, str]] = []
    for distribution in distributions:
        if names <= found:
            break
        found |= set(_read(os.path.join(folder, distribution, "top_level.txt")).decode(errors="replace").split())
        record = os.path.join(folder, distribution, "RECORD")
        with contextlib.suppress(OSError):
            lists.append((os.stat(record).st_size, record))
    wanted = {name: b"\n" + os.fsencode(name) for name in names - found}
    for _, record in sorted(lists):
        if not wanted:
            break
        listed = b"\n" + _read(record)
        for name in [name for name, begin in wanted.items() if begin in listed]:  # most lists have none
            if re.search(re.escape(wanted[name]) + rb"[/,.]", listed):
                found.add(name)
                del wanted[name]
    return frozenset(names & found)


def _entries(folder: Path | str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # there is no such folder, or nobody may list it
        return []


def _stem(name: str) -> str:
    return name.partition(".")[0]


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
