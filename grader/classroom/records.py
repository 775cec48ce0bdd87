"""
What is known of a class: what was received, what cannot be read, and what came of the rest. Plain data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from grader.model import Submission
from grader.notebook.read import Unreadable
from grader.reports.reading import ReadReport

__all__ = ["Entry", "File", "Graded", "Owner", "Problem", "Received"]


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """
    Whose submission it is.

    Attributes:
        platform: `canvas`, `moodle`, `gradescope`, `nbgrader` or `plain`.
        student: The platform's id of the student, or what stands for it.
    """

    platform: str
    student: str


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """
    Something that could not be read, or was left out, in a sentence for the instructor.

    Attributes:
        owner: Whose it is; None if that is not known.
        is_serious: False for what merely deserves a word, such as an older attempt.
    """

    where: str
    message: str
    owner: Owner | None = None
    is_serious: bool = True

    @property
    def student(self) -> str:
        """The platform's id of the student; empty if that is not known."""
        return "" if self.owner is None else self.owner.student


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """
    One file of a folder or an archive, not read yet.

    Attributes:
        name: Its place there, in Unicode's normal form C, with `/` between the parts.
        modified: Seconds; only compared with others from the same platform.
        read: Its content, bounded; or why there is none.
    """

    name: str
    modified: float
    read: Callable[[], bytes | Unreadable] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """
    One file that somebody handed in.

    Attributes:
        display: The student's name as the platform gives it, for display only.
        order: Of two attempts, the larger is the newer one.
        give_back: The path under which the platform takes feedback back; empty if it does not.
    """

    owner: Owner
    file: File
    name: str
    display: str = ""
    is_late: bool = False
    order: float = 0.0
    give_back: str = ""

    def read(self) -> Submission | Unreadable:
        """The submission, with its bytes; or why it cannot be read."""
        content = self.file.read()
        if isinstance(content, Unreadable):
            return content
        return Submission.of(content, name=self.name, student=self.owner.student)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """
    A graded submission as documents.

    Attributes:
        report: The report's JSON.
        page: The report's HTML, compressed by zlib.
        fault: What went wrong with the grader, if it did: then the report decides nothing.
        shown_report, shown_page: The same as far as the student may see it now; empty where that is all of it.
        packed: How the notebook ran, packed by `grader.execution.packed`, if it was executed for this; empty where
            that is too large.
    """

    report: str
    page: bytes = dataclasses.field(repr=False)
    fault: str = ""
    shown_report: str = ""
    shown_page: bytes = dataclasses.field(default=b"", repr=False)
    packed: bytes | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One student's line in the gradebook.

    Attributes:
        file: The name of the file with the student's report.
        report: The whole report, read back; it is there for files that are not notebooks, too.
        fault: What the grader failed at.
    """

    received: Received
    file: str
    report: ReadReport
    fault: str = ""

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return self.received.owner

    @property
    def status(self) -> str:
        """One word for the gradebook."""
        if self.report.is_undecided:
            return "grader_error"
        return "unreadable" if self.report.problem else "graded"
