"""
What is known of a class: what was received, what cannot be read, and what came of the rest. Plain data.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from grader.model import Submission
from grader.notebook.read import Unreadable

__all__ = ["File", "Finding", "Graded", "Problem", "Received", "Result"]


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """
    Something that could not be read, or was left out, in a sentence for the instructor.

    Attributes:
        platform, student: Whose it is, as far as that is known.
        is_serious: False for what merely deserves a word, such as an older attempt.
    """

    where: str
    message: str
    platform: str = ""
    student: str = ""
    is_serious: bool = True


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
        platform: `canvas`, `moodle`, `gradescope`, `nbgrader` or `plain`.
        student: The platform's id of the student, or what stands for it.
        display: The student's name as the platform gives it, for display only.
        order: Of two attempts, the larger is the newer one.
        give_back: The path under which the platform takes feedback back; empty if it does not.
    """

    platform: str
    student: str
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
        return Submission.of(content, name=self.name, student=self.student)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """
    A graded submission as documents.

    Attributes:
        report: The report's JSON.
        page: The report's HTML, compressed by zlib.
        fault: What went wrong with the grader, if it did: then the report decides nothing.
        shown_report, shown_page: The same as far as the student may see it now; empty where that is all of it.
        answers: How the notebook ran (`grader.execution.packed`), if it was executed for this; nothing where that is
            too large.
    """

    report: str
    page: bytes = dataclasses.field(repr=False)
    fault: str = ""
    shown_report: str = ""
    shown_page: bytes = dataclasses.field(default=b"", repr=False)
    answers: bytes | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What is said about one exercise of one student, as far as the class is concerned.

    `is_adjusted` where an instructor gave the points.
    """

    exercise: str
    outcome: str
    passed: bool | None
    points: float
    max_points: float
    message: str = ""
    diagnosis: str = ""
    observed: str = ""
    fingerprint: str = ""
    is_adjusted: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    One student's line in the gradebook.

    Attributes:
        report: The name of the file with the student's report.
        problem: Why the file is no notebook, if it is none; it was graded for all that.
        fault: What the grader failed at.
        flags: Ids with their evidence.
        graded_score: What the grader gave, where an instructor changed the score; None where it could not decide.
        is_adjusted, is_total_given: Whether an instructor changed it; and whether as a whole.
        comments: An instructor's, on exercises and on the whole.
    """

    received: Received
    report: str
    sha256: str
    score: float
    max_score: float
    findings: tuple[Finding, ...]
    flags: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    fault: str = ""
    graded_score: float | None = None
    is_adjusted: bool = False
    is_total_given: bool = False
    comments: tuple[str, ...] = ()

    @property
    def is_undecided(self) -> bool:
        """Whether the grader failed at any of it and no instructor decided, so that there is no mark yet."""
        failed = [finding for finding in self.findings if finding.outcome == "grader_error"]
        return not self.is_total_given and not all(finding.is_adjusted for finding in failed)

    @property
    def status(self) -> str:
        """One word for the gradebook."""
        if self.is_undecided:
            return "grader_error"
        return "unreadable" if self.problem else "graded"

    @staticmethod
    def of(received: Received, name: str, graded: Graded) -> Result:
        """A line, from the documents."""
        content: dict[str, Any] = json.loads(graded.report)
        adjustments = content.get("adjustments", [])
        given = [each for each in adjustments if each["points"] is not None]
        return Result(
            received=received,
            report=name,
            sha256=content["submission"]["sha256"],
            score=content["score"],
            max_score=content["max_score"],
            findings=tuple(map(_finding, content["exercises"])),
            flags=tuple((flag["id"], flag["evidence"]) for flag in content["flags"]),
            problem=content["notebook"].get("problem") or "",
            fault=graded.fault,
            graded_score=content.get("graded_score"),
            is_adjusted=bool(given),
            is_total_given=any(each["exercise"] is None for each in given),
            comments=tuple(each["comment"] for each in adjustments if each["comment"]),
        )


def _finding(exercise: Mapping[str, Any]) -> Finding:
    diagnosis = next(iter(exercise["diagnoses"]), None)
    return Finding(
        exercise=exercise["name"],
        outcome=exercise["outcome"],
        passed=exercise["passed"],
        points=exercise["points"],
        max_points=exercise["max_points"],
        message=exercise["message"],
        diagnosis=diagnosis["id"] if diagnosis else "",
        observed=diagnosis["message"] if diagnosis else "",
        fingerprint=exercise["fingerprint"] or "",
        is_adjusted=(exercise.get("adjustment") or {}).get("points") is not None,
    )
