"""
Waits for files to change, by polling: that needs no daemon and works on every file system.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

__all__ = ["changes"]


def changes(files: Callable[[], Iterable[Path]], *, every_s: float = 0.3) -> Iterator[frozenset[Path]]:
    """
    Yields, without end, the files that were changed or added since the last check, whenever there are any.

    Args:
        files: Returns the files to watch; called at each check.
        every_s: Seconds between two checks.
    """
    return _changes(files, _states(files()), every_s)  # the first check is now, not when the iterator is first asked


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
        except OSError:  # deleted after it was listed
            continue
        states[path] = status.st_mtime_ns, status.st_size
    return states
