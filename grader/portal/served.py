"""
The assignments of a course as the server uses them: loaded once, with what students download.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import io
import zipfile
from pathlib import Path

import jupytext
import nbformat

from grader.assignment.load import Assignment
from grader.assignment.source import read_source
from grader.authoring.release import release_notebook
from grader.classroom.keys import Basis
from grader.classroom.tasks import SourceFile
from grader.portal.course import Course, Offer
from grader.reference.cases import build_cases
from grader.visibility import Visibility, is_released, released_at

__all__ = ["Handout", "Served", "load_assignments"]

EPOCH = (1980, 1, 1, 0, 0, 0)
LAST = dt.datetime.max.replace(tzinfo=dt.timezone.utc)


@dataclasses.dataclass(frozen=True, slots=True)
class Handout:
    """A file for students."""

    name: str
    media_type: str
    content: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """
    An assignment of the course.

    Attributes:
        handouts: What students download, by format: `ipynb`, `md`, and `zip` if data travels with the notebook.
    """

    offer: Offer
    assignment: Assignment
    source: SourceFile
    handouts: dict[str, Handout]

    @property
    def id(self) -> str:
        """The assignment's id."""
        return self.assignment.id

    @property
    def title(self) -> str:
        """The assignment's title, or its id."""
        return self.assignment.title or self.assignment.id

    @property
    def max_points(self) -> float:
        """The points of all exercises."""
        return sum(exercise.points for exercise in self.assignment.exercises)

    @property
    def visibility(self) -> Visibility:
        """What students see, and when."""
        moment = self.offer.release
        return released_at(self.assignment.visibility, None if moment is None else moment.isoformat())

    def differs_from(self, other: Served) -> bool:
        """Whether the source notebook, or its data, is another one."""
        return self.assignment.revision != other.assignment.revision

    def basis(self, now: dt.datetime) -> Basis:
        """What results depend on at this moment."""
        return _basis(self.assignment, None if is_released(self.visibility, now) else self.visibility)


def load_assignments(course: Course, folder: Path) -> dict[str, Served]:
    """
    Load the assignments of a course, by id: those that are due first come first.

    Raises:
        UsageError: One does not exist.
        SourceError: A source notebook cannot be used.
    """
    served = {}
    sources = course.sources(folder)
    for offer in sorted(course.assignment, key=lambda offer: offer.due or LAST):
        path = sources[offer.id]
        notebook = read_source(path)
        source = SourceFile(path.name, path.read_bytes(), notebook.files)
        assignment = source.load(None)
        build_cases(assignment)  # raises if the solution disagrees with autograd, before anybody hands in
        released = release_notebook(notebook)
        ipynb, text = nbformat.writes(released) + "\n", jupytext.writes(released, fmt="md:myst")
        handouts = {
            "ipynb": Handout(f"{offer.id}.ipynb", "application/x-ipynb+json", ipynb.encode("utf-8")),
            "md": Handout(f"{offer.id}.md", "text/markdown; charset=utf-8", text.encode("utf-8")),
        }
        if notebook.files:
            content = _zipped(offer.id, {f"{offer.id}.ipynb": ipynb.encode("utf-8"), **notebook.files})
            handouts["zip"] = Handout(f"{offer.id}.zip", "application/zip", content)
        served[offer.id] = Served(offer=offer, assignment=assignment, source=source, handouts=handouts)
    return served


@functools.lru_cache(maxsize=256)
def _basis(assignment: Assignment, withheld: Visibility | None) -> Basis:
    return Basis.of(assignment, withheld=withheld)


def _zipped(folder: str, files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}", EPOCH), content)
    return packed.getvalue()
