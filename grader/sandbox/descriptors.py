"""
Which descriptors a process has that was just forked.
"""

from __future__ import annotations

import os

__all__ = ["close_all_but", "redirect_to_null"]


def redirect_to_null() -> None:
    """Connect standard input, output and error with nothing."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def close_all_but(keep: set[int]) -> None:
    """Close all descriptors but these and the standard ones."""
    previous = 2
    for descriptor in [*sorted(keep), 1 << 20]:
        os.closerange(previous + 1, descriptor)
        previous = descriptor
