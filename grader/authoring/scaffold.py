"""
Begins a new assignment: writes a source notebook, a small one that is sound, or a draft made from a course's notebook.
"""

from __future__ import annotations

import importlib.resources
import secrets
from pathlib import Path

from grader import shipped
from grader.assignment.find import find_sources
from grader.authoring.draft import draft_from, read_notebook_of_course
from grader.errors import UsageError
from grader.files import write_atomically

__all__ = ["scaffold", "write_scaffold"]


def scaffold(assignment_id: str, *, hidden_seed: int) -> str:
    """The text of the source notebook."""
    text = importlib.resources.files("grader").joinpath("authoring/templates/source.md").read_text(encoding="utf-8")
    title = assignment_id.replace("_", " ").capitalize()
    return text.replace("ASSIGNMENT", assignment_id).replace("TITLE", title).replace("SEED", str(hidden_seed))


def write_scaffold(assignment_id: str, directory: Path, notebook: Path | None = None) -> tuple[Path, list[str]]:
    """
    Write `directory/<id>.md`, with a new hidden seed. No file is ever overwritten.

    Args:
        notebook: A course's notebook to make a draft from; None for an example that is sound as it is.

    Returns:
        tuple: The path, and what the author has to do, a sentence each.

    Raises:
        UsageError: The id is not valid, the file exists already, or it cannot be written; the notebook cannot be read.
    """
    if not assignment_id.isidentifier() or not assignment_id.isascii() or assignment_id != assignment_id.lower():
        raise UsageError(
            f"{assignment_id!r} is not a valid id.", "Use lower-case letters, digits and underscores, as in my_network."
        )
    path = directory / f"{assignment_id}.md"
    if path.exists():
        raise UsageError(f"There is already a file {path}.", "Choose another id.")
    if (known := find_sources(shipped.solutions()).get(assignment_id)) is not None:
        raise UsageError(
            f"{assignment_id!r} is an assignment that comes with the grader.",
            f"Choose another id, or change a copy of {known}.",
        )
    seed = secrets.randbelow(2**32)
    text, todos = scaffold(assignment_id, hidden_seed=seed), list[str]()
    if notebook is not None:
        text, todos = draft_from(read_notebook_of_course(notebook), assignment_id, hidden_seed=seed, name=notebook.stem)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).", "Name a folder with --solutions.") from error
    return path, todos
