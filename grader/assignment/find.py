"""
Finds source notebooks: by their names and first lines alone, so that a mistyped id costs no more.
"""

from __future__ import annotations

from pathlib import Path

from grader import shipped
from grader.errors import SourceError, UsageError

__all__ = ["find_assignment", "find_sources", "in_place_of_shipped", "solutions_directory"]


def find_sources(directory: Path) -> dict[str, Path]:
    """The source notebooks of a folder by id, sorted; released ones count too, as `<id>/<id>.md`."""
    released = (path for path in directory.glob("*/*.md") if path.stem == path.parent.name)
    return {path.stem: path for path in sorted([*released, *directory.glob("*.md")]) if _is_source(path)}


def solutions_directory(named: Path | None, *, public: bool = False) -> Path:
    """
    The folder of source notebooks: the named one, else `solutions/` in the working directory, else the shipped one.

    Args:
        public: Look for released notebooks, in `assignments/` instead of `solutions/`.

    Raises:
        UsageError: The named folder does not exist.
    """
    if named is not None:
        if not named.is_dir():
            raise UsageError(f"There is no folder {named}.", "Name the folder with the source notebooks.")
        return named
    local = Path("assignments" if public else "solutions")
    if local.is_dir() and find_sources(local):
        return local
    return shipped.solutions()


def find_assignment(assignment_id: str, directory: Path) -> Path:
    """
    The path of an assignment's source notebook.

    Raises:
        UsageError: There is no assignment with that id.
        SourceError: There is a file of that name, but it is not a source notebook.
    """
    sources = find_sources(directory)
    if assignment_id not in sources:
        known = ", ".join(sources) or "none"
        path = directory / f"{assignment_id}.md"
        if path.is_file():
            raise SourceError(
                f"{path} is not a source notebook: it does not begin with a jupytext header.",
                "`grader new` writes a notebook that has one.",
            )
        raise UsageError(
            f"There is no assignment {assignment_id!r} in {directory}.",
            f"Known: {known}. Name one of these, or another folder: --solutions, or `solutions` in course.toml.",
        )
    return sources[assignment_id]


def in_place_of_shipped(path: Path) -> str:
    """
    The sentence that says that a source notebook is used in place of one that comes with the grader; empty if none is.

    An unchanged copy replaces nothing, and neither does a released notebook, `<id>/<id>.md`, which is made from it.
    """
    known = shipped.solutions() / path.name
    if path.parent.name == path.stem or not known.is_file() or known.read_bytes() == path.read_bytes():
        return ""
    return f"{path} is used in place of the assignment {path.stem!r} that comes with the grader."


def _is_source(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(4096)
    return head.startswith("---") and "jupytext" in head
