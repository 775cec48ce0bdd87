"""
The names that Canvas gives to files, and what cannot be one.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

__all__ = ["CanvasName", "canvas_name", "contested", "why_not_canvas"]

_NAMED = re.compile(r"(?P<name>[^/]*?)(?P<late>_LATE)?_(?P<user>\d+)_(?P<attachment>\d+)_(?P<file>[^/]+)")
_ANONYMOUS = re.compile(
    r"(?P<early>LATE_)?(?P<user>anon_(?!LATE_)[^/_]+)(?P<late>_LATE)?_(?P<attachment>\d+)_(?P<file>[^/]+)"
)
_DOUBT = (
    "The files are named almost as Canvas names them, but {}. So each file counts as the work of a different student, "
    "named after the file. If the files do come from Canvas, use `--platform canvas`."
)


@dataclasses.dataclass(frozen=True, slots=True)
class CanvasName:
    """The parts of a file's name. `user` is the student's id; `name` is None if the marking is anonymous."""

    user: str
    attachment: str
    file: str
    name: str | None = None
    is_late: bool = False

    @property
    def is_ambiguous(self) -> bool:
        """Whether there are two other numbers further to the right: a student may have put the first ones there."""
        return _NAMED.search(f"_{self.attachment}_{self.file}") is not None


def canvas_name(path: str) -> CanvasName | None:
    """
    The parts of a name that Canvas gave to a file; None if it gives no such names.

    >>> canvas_name("work/lovelaceada_LATE_4021_998877_mine.ipynb")
    CanvasName(user='4021', attachment='998877', file='mine.ipynb', name='lovelaceada', is_late=True)
    """
    bare = PurePosixPath(path).name
    if anonymous := _ANONYMOUS.fullmatch(bare):
        is_late = bool(anonymous["early"] or anonymous["late"])
        return CanvasName(anonymous["user"], anonymous["attachment"], anonymous["file"], None, is_late)
    if named := _NAMED.fullmatch(bare):
        return CanvasName(named["user"], named["attachment"], named["file"], named["name"], bool(named["late"]))
    return None


def why_not_canvas(names: Sequence[CanvasName]) -> str:
    """Why names that look like Canvas's may not be from there, in a sentence; empty if nothing speaks against it."""
    clear = [each for each in names if not each.is_ambiguous]
    names = clear or names
    reason = next((reason for each in names if (reason := _impossible(each))), "") or _contradiction(names)
    return _DOUBT.format(reason) if reason else ""


def contested(names: Sequence[CanvasName]) -> set[CanvasName]:
    """Names that are ambiguous, and read from the left contradict those that are not: they may be another student's."""
    clear = [each for each in names if not each.is_ambiguous]
    spelt = {each.user: each.name for each in clear}
    numbers = {each.attachment for each in clear}
    return {
        each
        for each in names
        if each.is_ambiguous
        and (_impossible(each) or each.attachment in numbers or spelt.get(each.user, each.name) != each.name)
    }


def _impossible(each: CanvasName) -> str:
    padded = [number for number in (each.user, each.attachment) if number.startswith("0")]
    if padded:
        return f"numbers from Canvas never begin with a zero, and {padded[0]} does"
    name = each.name or "x"
    if name != name.lower() or not re.fullmatch(r"\w+", name) or name.replace("_", "").isdigit():
        return f"Canvas never writes a student's name as {name!r}"
    return ""


def _contradiction(names: Sequence[CanvasName]) -> str:
    files, written = defaultdict[str, set[str]](set), defaultdict[str, set[str | None]](set)
    for each in names:
        files[each.attachment].add(each.file)
        written[each.user].add(each.name)
    pairs = [(each.user, each.attachment) for each in names]
    if len(set(pairs)) < len(pairs):
        return "two files have the same numbers"
    if shared := next((number for number, uses in files.items() if len(uses) > 1), None):
        return f"two different files have the number {shared}"
    if user := next((user for user, spellings in written.items() if len(spellings) > 1), None):
        return f"two different names have the number {user}"
    everybody = {each.name for each in names}
    if len(names) > 1 and len(everybody) == 1 and None not in everybody:
        return f"all of them begin with {everybody.pop()!r}"
    return ""
