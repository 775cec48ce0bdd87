"""
What is known about a class, as plain data: the files that were received, problems with them, and the results.
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
        platform: `canvas`, `moodle`, `gradescope`, `nbgrader`, `repositories` or `plain`.
        student: The platform's id of the student; in a plain folder, the file's name.
    """

    platform: str
    student: str


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """
    A file that could not be read or was left out, and why, in a sentence for the instructor.

    Attributes:
        where: The name of the file, or of the student.
        owner: Whose submission it is; None if that is not known.
        is_serious: False if the instructor need not do anything about it, such as an older attempt.
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
    A file in a folder or an archive, not read yet.

    Attributes:
        name: Its path in there, in Unicode's normal form C, with `/` between the parts.
        modified: When it was changed, in seconds; compared only with files from the same platform.
        read: Returns its content, up to the size limit for notebooks; or why it cannot be read.
    """

    name: str
    modified: float
    read: Callable[[], bytes | Unreadable] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """
    A file that somebody handed in, not read yet.

    Attributes:
        name: The file's name, without folders.
        display: The student's name on the platform, for display only.
        order: The newer one of two attempts has the larger number.
        give_back: The path under which the platform accepts feedback; empty if it accepts none.
        attempt: Files of one student with the same attempt were handed in together.
        archive: The zip archive of the student's that it was found in; empty if it was in none.
    """

    owner: Owner
    file: File
    name: str
    display: str = ""
    is_late: bool = False
    order: float = 0.0
    give_back: str = ""
    attempt: str = ""
    archive: str = ""

    def read(self) -> Submission | Unreadable:
        """Read the file: the submission, or why it cannot be read."""
        content = self.file.read()
        if isinstance(content, Unreadable):
            return content
        return Submission.of(content, name=self.name, student=self.owner.student)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """
    The documents that come out of grading a submission.

    Attributes:
        report: The report's JSON.
        page: The report's HTML, compressed by zlib.
        fault: How the grader failed, in a sentence; empty if it did not. If it did, the report decides nothing.
        shown_report, shown_page: The student's copy of both; empty if the student may see everything now.
        packed: How the notebook ran, packed by `grader.execution.packed`; empty if that is too large to keep, None if
            the notebook was not executed this time.
        is_doubtful: Whether something in it may have taken too long because other submissions ran at the same time.
    """

    report: str
    page: bytes = dataclasses.field(repr=False)
    fault: str = ""
    shown_report: str = ""
    shown_page: bytes = dataclasses.field(default=b"", repr=False)
    packed: bytes | None = dataclasses.field(default=None, repr=False)
    is_doubtful: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    A student's row in the gradebook.

    Attributes:
        file: The name of the file with the report.
        report: The complete report, read back. A file that is not a notebook has one, too.
        fault: How the grader failed; empty if it did not.
    """

    received: Received
    file: str
    report: ReadReport
    fault: str = ""

    @property
    def owner(self) -> Owner:
        """Whose submission it is."""
        return self.received.owner

    @property
    def status(self) -> str:
        """`graded`, `unreadable` or `grader_error`."""
        if self.report.is_undecided:
            return "grader_error"
        return "unreadable" if self.report.problem else "graded"
