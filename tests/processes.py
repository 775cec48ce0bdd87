"""What other processes say of themselves, although they may end at any moment."""

from __future__ import annotations

import psutil


def command_line(process: psutil.Process) -> str:
    """How it was started. Empty if it has ended, even if nobody has waited for it yet."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def process_name(process: psutil.Process) -> str:
    """Its name. Empty if it has ended."""
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def variable(process: psutil.Process, which: str) -> str:
    """A variable of its environment. Empty if it has none of that name, has ended, or belongs to somebody else."""
    try:
        return str(process.environ().get(which, ""))
    except psutil.Error:
        return ""
