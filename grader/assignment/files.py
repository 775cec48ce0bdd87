"""
The folder of data that travels with a notebook (`files` in its settings): to students, and to wherever its code runs.

The files are read once, as bytes, and written as copies wherever they are needed: nothing reads through a link, and
nothing beside the folder can come along.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from grader.errors import SourceError

__all__ = ["MOST_BYTES", "MOST_FILES", "Files", "digest_of", "in_folder_of", "read_files", "write_files"]

Files = Mapping[str, bytes]
"""The content of each file, by its path from the folder of the notebook, such as `data/names.txt`."""

MOST_BYTES = 16 << 20
MOST_FILES = 200
_LEFT_OUT = ("__pycache__",)
_MARK = re.compile(rb"#\s*(?:BEGIN|END) SOLUTION\b")
"""A mark of a solution region, also within the JSON of a notebook, and in the words of other tools."""
_moving = threading.RLock()


def read_files(folder: Path) -> dict[str, bytes]:
    """
    Read the files of a folder. What is hidden (`.git`) is left out.

    Raises:
        SourceError: There is no such folder; it has a link in it, too much, or a solution.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise SourceError(f"There is no folder {folder}.", "Put it beside the notebook, or correct `files`.")
    files: dict[str, bytes] = {}
    try:
        for path in _paths_in(folder):
            content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b"\0" * (MOST_BYTES + 1)
            files[path.relative_to(folder.parent).as_posix()] = content
            if len(files) > MOST_FILES or sum(map(len, files.values())) > MOST_BYTES:
                raise SourceError(
                    f"The files in {folder} are too many or too large to travel with a notebook.",
                    f"{MOST_FILES} files may, and {MOST_BYTES >> 20} MiB together: keep what the exercises need.",
                )
            if _MARK.search(content.replace(b"\0", b"")):  # in UTF-16, every other byte is zero
                raise SourceError(f"There is a solution region in {path}.", "Students get this file.")
    except OSError as error:
        raise SourceError(f"The files in {folder} cannot be read ({error.strerror}).", "Check them.") from error
    return files


def write_files(files: Files, folder: Path) -> list[Path]:
    """Write the files below a folder, and return their paths."""
    paths = []
    for name, content in files.items():
        path = folder.joinpath(*PurePosixPath(name).parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
        paths.append(path)
    return paths


def digest_of(files: Files) -> str:
    """A hash of the files' names and contents; empty if there are none."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest() if files else ""


@contextlib.contextmanager
def in_folder_of(files: Files) -> Iterator[None]:
    """Work in a new folder with these files in it, as a student's notebook does. Without files, nothing changes."""
    if not files:
        yield
        return
    with _moving, tempfile.TemporaryDirectory() as folder:
        write_files(files, Path(folder))
        before = os.getcwd()  # noqa: PTH109 - it may be gone when we return
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _paths_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _LEFT_OUT:
            continue
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise SourceError(f"{path} is not a file.", "Put a copy there instead: links do not travel.")
        if path.is_dir():
            yield from _paths_in(path)
        else:
            yield path
