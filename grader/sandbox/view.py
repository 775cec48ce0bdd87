"""
What a kernel sees of the file system: folders of which only entries on a list are shown, as few mounts as possible.
"""

# Hundreds of paths are compared before the first kernel is forked: strings are several times as fast as `Path`.
# ruff: noqa: PTH100, PTH110, PTH112, PTH114, PTH115, PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import dataclasses
import enum
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from grader.sandbox.errors import SandboxUnavailable

__all__ = ["Selection", "Shown", "View", "check_secrets", "first_readable", "spellings"]

_FEW = 16  # so many mounts are cheap
_MOST_PROBED = 256  # files of one folder


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """
    What a kernel sees, at the same paths as outside of the sandbox.

    Attributes:
        trees: Folders with all that is in them, and files, to be read only. None of them is inside another.
        links: Symbolic links, such as `/lib` → `usr/lib`.
        hidden: Paths inside the trees that the kernel must not see.
        allowed: The trees without the hidden paths, for a kernel without a private root, in which nothing can be
            masked. A folder with a hidden path in it is replaced by the entries that are shown.
        listed: Folders in which such a kernel must be able to look for modules. All names in them can be listed.
        excluded: Files and folders that no kernel may see.
        secrets: The files to try in order to find out whether a kernel sees any of these.
        times: When the folders last changed in which something is hidden, in nanoseconds.
    """

    trees: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...]
    hidden: tuple[Path, ...]
    allowed: tuple[str, ...]
    listed: tuple[str, ...]
    excluded: tuple[str, ...]
    secrets: tuple[str, ...]
    times: tuple[tuple[str, int], ...]

    @property
    def is_current(self) -> bool:
        """Whether nothing was added since to a folder in which something is hidden."""
        return all(_time_of(folder) == time for folder, time in self.times)

    def leads_to(self, path: str) -> bool:
        """Whether this is the path of a tree or a link, or of a folder around one."""
        shown = itertools.chain(self.trees, (link for link, _ in self.links))
        return any(f"{tree}/".startswith(f"{path}/") for tree in shown)


class Shown(enum.Enum):
    """How a folder is shown: whole, with the rest masked; its entries alone; or the one that takes fewer mounts."""

    WHOLE = enum.auto()
    ENTRIES = enum.auto()
    FEWEST = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class _Rule:
    shows: Callable[[str], bool]
    how: Shown
    is_listed: bool = False


@dataclasses.dataclass(slots=True)
class _Chosen:
    trees: list[str] = dataclasses.field(default_factory=list)
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    hidden: list[str] = dataclasses.field(default_factory=list)


class Selection:
    """
    Collects what a view shows. Paths have their links resolved in it, so that no other spelling gets around a rule.
    """

    def __init__(self) -> None:
        self._roots: dict[str, list[str]] = {}  # and how each was spelled
        self._rules: dict[str, _Rule] = {}
        self._excluded: set[str] = set()
        self._links: dict[str, str] = {}
        self._looked_into: set[str] = set()
        self._above_rules: set[str] = set()
        self._above_roots: set[str] = set()

    def show(self, path: Path | str) -> None:
        """Show a file, or a folder with what its rule and those of the folders in it let through. A link stays one."""
        spelled = os.path.abspath(path)
        resolved = os.path.realpath(spelled)
        while os.path.islink(spelled) and os.path.exists(resolved) and spelled not in self._links:
            self._links[spelled] = os.readlink(spelled)
            spelled = os.path.normpath(os.path.join(os.path.dirname(spelled), self._links[spelled]))
        if os.path.exists(resolved):
            self._roots.setdefault(resolved, []).append(spelled)

    def link(self, path: Path | str) -> None:
        """Show a symbolic link, and nothing of what it leads to."""
        self._links[str(path)] = os.readlink(path)

    def limit(self, folder: Path | str, shows: Callable[[str], bool], how: Shown, *, is_listed: bool = False) -> None:
        """
        Of a folder, show only the entries whose names `shows` accepts. The first rule of a folder counts.

        Args:
            is_listed: Whether a kernel looks for modules in the folder.
        """
        self._rules.setdefault(os.path.realpath(folder), _Rule(shows, how, is_listed))

    def exclude(self, path: Path | str) -> None:
        """Do not show this path, whatever the rule of its folder says; except for what is shown inside of it."""
        self._excluded.add(os.path.realpath(path))

    def view(self) -> View:
        """The view of what was selected until now."""
        for path in self._excluded:
            self.limit(os.path.dirname(path), lambda _: True, Shown.WHOLE)
        self._looked_into.clear()
        self._above_rules, self._above_roots = _above(self._rules), _above(self._roots)
        trees: list[str] = []
        links = dict(self._links)
        hidden: list[str] = []
        for root, spellings in self._roots.items():
            chosen = self._choose(root)
            for spelled in {root, *spellings} - self._links.keys():
                trees += [_moved(path, root, spelled) for path in chosen.trees]
                hidden += [_moved(path, root, spelled) for path in chosen.hidden]
                links |= {_moved(path, root, spelled): target for path, target in chosen.links.items()}
        outermost = _outermost(trees)
        kept = {path: target for path, target in links.items() if not _is_in(path, outermost)}
        outermost = [tree for tree in outermost if not _is_in(tree, kept)]
        masked = _outermost(path for path in hidden if _is_in(path, outermost))
        allowed = list(_without(outermost, masked))
        listed = [*outermost, *(folder for folder, rule in self._rules.items() if rule.is_listed)]
        return View(
            trees=tuple(map(Path, outermost)),
            links=tuple((Path(path), target) for path, target in kept.items()),
            hidden=tuple(map(Path, masked)),
            allowed=tuple(allowed),
            listed=tuple(listed),
            excluded=tuple(sorted(self._excluded)),
            secrets=tuple(self._secrets(listed, allowed)),
            times=tuple((folder, _time_of(folder)) for folder in sorted(self._looked_into)),
        )

    def _choose(self, path: str) -> _Chosen:
        if path not in self._rules and path not in self._above_rules:
            return _Chosen(trees=[path])
        rule = self._rules.get(path)
        entries = _Chosen()
        if rule is not None and rule.how is not Shown.WHOLE:
            for entry in _entries(path):
                if not self._shows(path, entry):
                    continue
                if entry.is_symlink():
                    entries.links[entry.path] = os.readlink(entry.path)
                    continue
                chosen = self._choose(entry.path)
                entries.trees += chosen.trees
                entries.hidden += chosen.hidden
                entries.links |= chosen.links
            if rule.how is Shown.ENTRIES or len(entries.trees) <= _FEW:
                return entries
        looked_into = set(self._looked_into)
        whole = _Chosen(trees=[path], hidden=list(self._hidden_in(path)))
        if rule is not None and rule.how is Shown.FEWEST and len(entries.trees) <= 1 + len(whole.hidden):
            self._looked_into = looked_into
            return entries
        return whole

    def _hidden_in(self, path: str) -> Iterator[str]:
        """What is not shown of a folder that is."""
        if path not in self._rules:
            if path not in self._above_rules:
                return
            beneath = [folder for folder in self._rules if folder.startswith(f"{path}/")]
            for folder in _outermost(beneath):
                yield from self._hidden_in(folder)
            return
        self._looked_into.add(path)
        for entry in _entries(path):
            if entry.is_symlink():  # it leads to what is shown elsewhere, or to nothing
                continue
            if self._shows(path, entry):
                yield from self._hidden_in(entry.path)
            else:
                yield from self._cover(entry.path)

    def _cover(self, path: str) -> Iterator[str]:
        """A path that is not shown; if something in it is, then all the rest of it."""
        if path in self._roots:
            yield from self._hidden_in(path)
        elif path in self._above_roots:
            for entry in _entries(path):
                if not entry.is_symlink():
                    yield from self._cover(entry.path)
        else:
            yield path

    def _shows(self, folder: str, entry: os.DirEntry[str]) -> bool:
        return self._rules[folder].shows(entry.name) and entry.path not in self._excluded

    def _secrets(self, listed: list[str], allowed: list[str]) -> Iterator[str]:
        """What was excluded. If it is a folder that Landlock lets be listed, the files in it that are not shown."""
        for path in sorted(self._excluded):
            if not os.path.isdir(path) or not _is_in(path, listed):
                yield path
                continue
            files = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
            yield from itertools.islice((file for file in files if not _is_in(file, allowed)), _MOST_PROBED)


def spellings(paths: Iterable[Path]) -> list[str]:
    """Paths with and without their links resolved: one of them may lead to a file where the other does not."""
    return sorted({str(spelled) for path in paths for spelled in (path.absolute(), path.resolve())})


def check_secrets(view: View, further: Iterable[str], *, own: Iterable[str]) -> None:
    """
    Check from inside of a sandbox that this process can read no secret of the view's, and none of these.

    Args:
        further: Files, and folders of which not even the names may be read.
        own: Folders that the sandbox has put into a private root.

    Raises:
        SandboxUnavailable: It can read one.
    """
    new = (path for path in further if path not in own and not _is_in(path, view.excluded))
    path = first_readable((*view.secrets, *new), view, own)
    if path is not None:
        raise SandboxUnavailable(
            f"Students' code would be able to read {path}, which it must not see.",
            "It is in a folder of the Python installation that the sandbox shows: move it, or the folder that it is "
            "in, to another place.",
        )


def first_readable(paths: Iterable[str], view: View, own: Iterable[str] = ()) -> str | None:
    """
    The first of these files and folders that this process can read; None if it can read none, as it should be.

    A folder that holds only what the view shows, a way to it, and what is the sandbox's own does not count.
    """
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # as it should be
            continue
        try:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                names = (os.path.join(path, name) for name in os.listdir(descriptor))
                is_shown = any(name not in own and not view.leads_to(name) for name in names)
            else:
                is_shown = bool(os.read(descriptor, 1))
        except OSError:  # a folder that Landlock lets be opened, and not be listed
            is_shown = False
        finally:
            os.close(descriptor)
        if is_shown:
            return path
    return None


def _without(trees: Iterable[str], hidden: Iterable[str]) -> Iterator[str]:
    hidden = set(hidden)
    above = _above(hidden)
    pending = list(trees)
    while pending:
        path = pending.pop()
        if path in hidden:
            continue
        if path in above:
            pending += [entry.path for entry in _entries(path) if not entry.is_symlink()]
        else:
            yield path


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # it is a file, or nobody may list it
        return []


def _above(paths: Iterable[str]) -> set[str]:
    """All folders around these paths."""
    found: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in found:
            found.add(folder)
            folder = os.path.dirname(folder)
    return found


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: dict[str, None] = {}
    for path in sorted(set(paths), key=lambda path: path.count("/")):
        if not _is_in(path, kept):
            kept[path] = None
    return list(kept)


def _is_in(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of these folders, or inside of one."""
    return any(f"{path}/".startswith(f"{folder}/") for folder in folders)


def _moved(path: str, root: str, spelled: str) -> str:
    return spelled + path[len(root) :]


def _time_of(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0
