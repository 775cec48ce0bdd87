"""
The environment variables of a kernel: the caller's only where they are on a list, so that no secret is passed on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["clean_environment", "scratch_environment"]

_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
_DEFAULTS = {"LANG": "C.UTF-8"}
_FIXED = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def clean_environment() -> dict[str, str]:
    """
    All that a process with untrusted code may know of this process's environment.

    It has no home folder and no folder for temporary files: see `scratch_environment`.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    folders = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    return {**_DEFAULTS, **passed_on, **_FIXED, "PATH": os.pathsep.join(folders)}


def scratch_environment(folder: Path) -> dict[str, str]:
    """The variables that make `folder` the place where a kernel writes."""
    names = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR")
    return {**dict.fromkeys(names, str(folder)), "USER": "student"}
