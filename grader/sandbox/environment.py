"""
The environment variables of a kernel: the caller's only where they are on a list, so that no secret is passed on.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["clean_environment", "make_scratch"]

_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
_DEFAULTS = {"LANG": "C.UTF-8"}
_FIXED = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",  # in a forked process, a second thread would wait for ever for those that were not forked
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",  # sets have the same order in every run
}


def clean_environment() -> dict[str, str]:
    """
    All that a process with untrusted code may know of this process's environment.

    It has no home folder and no folder for temporary files: see `make_scratch`.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    folders = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    shell = shutil.which("bash") or "/bin/sh"
    return {**_DEFAULTS, **passed_on, **_FIXED, "PATH": os.pathsep.join(folders), "SHELL": shell}


def make_scratch(folder: Path) -> tuple[Path, dict[str, str]]:
    """
    Make the folders of a kernel in an empty folder, which becomes its home.

    Returns:
        The working folder, which is empty, and in a folder where the kernel may write, too; and the variables that
        tell libraries where to write.
    """
    work, temporary = folder / "work", folder / "tmp"
    for made in (work, temporary, folder / ".ipython", folder / ".local" / "share" / "jupyter" / "runtime"):
        made.mkdir(parents=True)
    return work, {
        "HOME": str(folder),
        "USER": "student",
        "TMPDIR": str(temporary),
        "IPYTHONDIR": str(folder / ".ipython"),
        "MPLCONFIGDIR": str(folder / ".config" / "matplotlib"),
    }
