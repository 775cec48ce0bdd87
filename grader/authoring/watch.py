"""
Waits for files to change, by looking at them: no daemon, and it works on every file system.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

__all__ = ["changes"]


def changes(files: Callable[[], Iterable[Path]], *, every_s: float = 0.3) -> Iterator[frozenset[Path]]:
    """
    The files that have changed or come since the last look, each time there are some. It has no end.

    Args:
        files: Those that matter, asked for at each look.
        every_s: Seconds between two looks.
    """
    return _changes(files, _states(files()), every_s)  # the first look is now, not when somebody asks for the next


def _changes(
    files: Callable[[], Iterable[Path]], known: dict[Path, tuple[int, int]], every_s: float
) -> Iterator[frozenset[Path]]:
    while True:
        time.sleep(every_s)
        states = _states(files())
        changed = frozenset(path for path, state in states.items() if known.get(path) != state)
        known = states
        if changed:
            yield changed


def _states(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    states = {}
    for path in files:
        try:
            status = path.stat()
        except OSError:  # gone between the list and the look
            continue
        states[path] = status.st_mtime_ns, status.st_size
    return states
