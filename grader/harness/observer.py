"""
Notes what a gradient function has no reason to do: start programs, run text as code, search Python's memory.

None of it is wrong, and none of it costs points: an instructor is told. Python itself reports these events, in every
thread of the process. Only what the notebook's own code does counts, at most by way of the standard library: what
torch, matplotlib or another package does is not the student's doing.
"""

from __future__ import annotations

import contextlib
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from grader.harness.journal import Journal

__all__ = ["Observer", "asker"]

_DEEPEST = 60
_STANDARD_LIBRARY = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_OTHER_PACKAGES = ("site-packages", "dist-packages")
_GRADER = str(Path(__file__).parent.parent)

_PROGRAM, _FORK = "started another program", "forked its process"
_TEXT, _MEMORY, _FRAMES = "ran text as code", "searched Python's memory with gc", "looked at the frames of its callers"
_HOOK = "set a trace or a hook of its own"

_BY_ANY_WAY: Mapping[str, str] = {
    "os.fork": _FORK,
    "os.forkpty": _FORK,
    "subprocess.Popen": _PROGRAM,
    "os.system": _PROGRAM,
    "os.exec": _PROGRAM,
    "os.posix_spawn": _PROGRAM,
    "os.spawn": _PROGRAM,
    "gc.get_objects": _MEMORY,
    "gc.get_referrers": _MEMORY,
    "gc.get_referents": _MEMORY,
}
"""Events that count, too, if the notebook's code has the standard library cause them, as `subprocess.run` does."""

_BY_ITSELF: Mapping[str, str] = {
    "exec": _TEXT,
    "compile": _TEXT,
    "sys._getframe": _FRAMES,
    "sys._current_frames": _FRAMES,
    "sys.settrace": _HOOK,
    "sys.setprofile": _HOOK,
    "sys.addaudithook": _HOOK,
}
"""Events that the standard library causes all the time: these count if the notebook's own code causes them."""

_READ = {"tb_frame": _FRAMES, "gi_frame": _FRAMES}
_WRITTEN = {"__code__": "replaced the code of a function"}


class Observer:
    """
    Notes in a journal what a function does.

    Args:
        cells: The numbers of the notebook's cells by the file names that Python knows them by.
    """

    def __init__(self, journal: Journal, cells: Mapping[str, int]) -> None:
        self._journal = journal
        self._cells = cells
        self._busy = threading.local()

    def watch(self) -> None:
        """Begin. Python forgets no hook, so this is for a process that does nothing but the calls."""
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._journal.is_open or getattr(self._busy, "now", False):
            return
        what = _BY_ANY_WAY.get(event)
        way: Literal["any", "own"] = "any" if what else "own"
        if what is None:
            what = _BY_ITSELF.get(event)
        if what is None and event.startswith("ctypes."):
            what, way = "called C through ctypes", "any"
        if what is None and event in ("object.__getattr__", "object.__setattr__"):
            what = (_READ if event == "object.__getattr__" else _WRITTEN).get(arguments[1])
        if what is not None:
            self._busy.now = True
            try:
                self.note(what, sys._getframe(1), way=way)
            except Exception:  # what a hook raises would be raised in the student's function
                return
            finally:
                self._busy.now = False

    def note(self, what: str, frame: FrameType | None, *, way: Literal["any", "own"] = "own") -> None:
        """
        Note something if the notebook's own code did it.

        Args:
            frame: What was running.
            way: "any" if it counts, too, where the standard library did it for that code.
        """
        by = asker(frame, self._cells, way=way)
        if by is not None:
            cell = self._cells.get(by.f_code.co_filename)
            where = f" (In [{cell}], line {by.f_lineno})" if cell is not None else ""
            self._journal.note("did", f"{what}{where}")

    @contextlib.contextmanager
    def during_a_call(self) -> Iterator[None]:
        """The context of a call: only what happens in it is noted."""
        self._journal.is_open = True
        try:
            yield
        finally:
            self._journal.is_open = False


def asker(frame: FrameType | None, cells: Mapping[str, int], *, way: Literal["any", "own"]) -> FrameType | None:
    """
    The frame of the notebook's code that caused what is happening; None if a package did.

    Code that is in no package is the notebook's: in a module that it has written, or in text that it runs.
    """
    for _ in range(_DEEPEST):
        if frame is None:
            return None
        name = frame.f_code.co_filename
        if name in cells:
            return frame
        is_standard = name.startswith(("<", *_STANDARD_LIBRARY)) and not any(part in name for part in _OTHER_PACKAGES)
        if not is_standard:
            is_of_a_package = name.startswith(_GRADER) or any(part in name for part in _OTHER_PACKAGES)
            return None if is_of_a_package else frame
        if way == "own":
            return None
        frame = frame.f_back
    return None
