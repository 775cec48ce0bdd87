"""
Checks that a file is there, and writes one either completely or not at all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from grader.errors import SubmissionError, UsageError

__all__ = ["check_exists", "check_is_file", "remove_leftovers", "replace_atomically", "write_atomically"]

PARTIAL = ".partial"
LEFT_OVER_S = 600


def check_exists(path: Path) -> None:
    """
    Check that there is a file or a folder.

    Raises:
        UsageError: There is neither.
    """
    if not path.exists():
        raise UsageError(f"There is no {path}.", "Check the path.")


def check_is_file(path: Path) -> None:
    """
    Check that there is a file, whatever is in it.

    Raises:
        SubmissionError: There is none.
        UsageError: The path is a folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "Name a notebook in it.")
    if not path.exists():
        raise SubmissionError(f"There is no file {path}.", "Check the path.")


def write_atomically(path: Path, content: bytes | str, *, is_private: bool = False) -> None:
    """
    Write a file so that nobody ever sees half of it, not even after a crash: under a temporary name, then renamed.

    Args:
        path: The file to write. It is replaced if it exists.
        content: Text is written as UTF-8.
        is_private: Whether nobody but the user may read it, at no moment.

    Raises:
        OSError: The folder does not exist or cannot be written to. Nothing has changed then.
    """
    with replace_atomically(path, is_private=is_private) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextlib.contextmanager
def replace_atomically(path: Path, *, is_private: bool = False) -> Iterator[BinaryIO]:
    """
    A file to write to. It gets its name when the context ends, and is deleted if the context raises.

    Raises:
        OSError: The folder does not exist or cannot be written to. Nothing has changed then.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:30]}.", suffix=PARTIAL)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not is_private:  # as `mkstemp` makes it
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_leftovers(directory: Path) -> None:
    """Remove unfinished files from a folder that are old enough to be abandoned: their process was killed."""
    for path in directory.glob(f".*{PARTIAL}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_OVER_S:
                path.unlink()
