"""
Names a mistake that several students share: a cell for the source notebook, without any code in it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from grader import shipped
from grader.assignment.source import read_source
from grader.authoring.misconceptions import problems_of_misconceptions
from grader.classroom.tasks import SourceFile
from grader.errors import UsageError
from grader.files import write_atomically
from grader.portal.portal import Portal
from grader.portal.served import Served

__all__ = ["Naming", "name_mistake", "source_to_write"]

MOST_HINTS = 3
TEXT_LIMIT = 2_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """
    What an instructor says about a wrong answer.

    Attributes:
        fingerprint: That of the answer.
        id: The mistake's name, such as `forgot_mask`.
        observation: What can be seen in the answer, a sentence for the student.
        hints: One to three questions, each saying more than the one before.
    """

    exercise: str
    fingerprint: str
    id: str
    observation: str
    hints: tuple[str, ...]

    def cell(self) -> str:
        """
        The cell for the source notebook.

        Raises:
            UsageError: Something is missing, or cannot stand in a notebook.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,79}", self.id):
            raise UsageError("The name must consist of small letters, digits and _, as in forgot_mask.")
        texts = (self.observation, *self.hints)
        if not self.observation or not 1 <= len(self.hints) <= MOST_HINTS:
            raise UsageError("Say what can be seen in the answer, and ask at least one question.")
        if not all(text.isprintable() and len(text) <= TEXT_LIMIT for text in texts):
            raise UsageError("A text is too long, or contains unprintable characters.")
        hints = "".join(f"    - {_quoted(hint)}\n" for hint in self.hints)
        return (
            "```{code-cell} ipython3\n---\ntags: [misconception]\ngrader:\n"
            f"  exercise: {_quoted(self.exercise)}\n  id: {_quoted(self.id)}\n"
            f"  fingerprints: [{_quoted(self.fingerprint)}]\n  observation: {_quoted(self.observation)}\n"
            f"  hints:\n{hints}---\n```\n"
        )


def source_to_write(portal: Portal, served: Served) -> Path | None:
    """The source notebook, if it is the course's own; those of the grader are not written to."""
    if not portal.course.solutions:
        return None
    path = portal.course.sources(portal.folder)[served.id].resolve()
    return None if path.is_relative_to(shipped.solutions().resolve()) else path


def name_mistake(portal: Portal, served: Served, naming: Naming) -> None:
    """
    Put the cell of a mistake at the end of the source notebook, if the notebook can be used with it.

    Raises:
        UsageError: The notebook is not the course's own, cannot be written to, or the cell says something wrong.
        SourceError: The notebook cannot be used with this cell. Nothing has changed then.
    """
    path = source_to_write(portal, served)
    if path is None:
        raise UsageError("The portal does not write to the source notebooks of the grader.")
    with portal.reloading:
        try:
            before = path.read_bytes()
            content = before.rstrip() + b"\n\n" + naming.cell().encode("utf-8")
            files = read_source(path, content).files
            for problem in problems_of_misconceptions(SourceFile(path.name, content, files).load(None)):
                raise UsageError(problem[0].upper() + problem[1:])
            write_atomically(path, content)
        except OSError as error:
            raise UsageError(f"{path.name} cannot be written ({error.strerror}).") from error


def _quoted(text: str) -> str:
    """A text in YAML, on one line."""
    return json.dumps(text, ensure_ascii=False)
