"""
The words of the grader as plain, frozen data: nothing here computes, reads or prints.

Glossary: x, y, w, b are a network's inputs, labels, weights and biases; N is the number of rows in a batch;
`dNAME` is the gradient of the loss with respect to `NAME` and has its shape.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping
from typing import Any

__all__ = [
    "Adjustment",
    "BatchView",
    "CallError",
    "CaseResult",
    "Chain",
    "Code",
    "Curve",
    "Diagnosis",
    "Exercise",
    "ExerciseResult",
    "Flag",
    "Limits",
    "NotebookSummary",
    "Notice",
    "Outcome",
    "Report",
    "Submission",
    "WorstEntry",
    "most_telling",
]


class Outcome(enum.Enum):
    """
    What became of one exercise, or of one case of it.

    The order is that of display: where several hold, the first one says most.
    """

    GRADER_ERROR = "grader_error"
    FORBIDDEN = "forbidden"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    SYNTAX_ERROR = "syntax_error"
    MISSING = "missing"
    BLANK = "blank"
    RAISED = "raised"
    WRONG_TYPE = "wrong_type"
    WRONG_DTYPE = "wrong_dtype"
    WRONG_SHAPE = "wrong_shape"
    NOT_FINITE = "not_finite"
    MISMATCH = "mismatch"
    SKIPPED = "skipped"
    MATCH = "match"

    @property
    def passed(self) -> bool | None:
        """True, False, or None where nothing could be decided (which never costs a point)."""
        if self in (Outcome.SKIPPED, Outcome.GRADER_ERROR):
            return None
        return self is Outcome.MATCH


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What one submission may use. Seconds are wall time unless a name says CPU; sizes are in MiB or bytes as named.

    `call_s` and `call_cpu_s` hold for one exercise: all its cases together. CPU time is that of all processes together;
    `cpu_s` is the notebook's, calls included.
    """

    cell_s: float = 20.0
    notebook_s: float = 60.0
    call_s: float = 10.0
    cell_cpu_s: float = 20.0
    call_cpu_s: float = 10.0
    cpu_s: int = 120
    memory_mib: int = 2048
    processes: int = 64
    file_size_mib: int = 64
    scratch_mib: int = 128
    output_bytes: int = 1_000_000
    result_bytes: int = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """
    One gradient function to write.

    Attributes:
        name: The function's name, `grad_w1`.
        targets: What the gradient is taken of, in the order in which the function returns them.
        arguments: The parameters' names, in order.
        points: What it is worth.
        tolerance: How many times more than what rounding explains an entry may be off.
        question: The function's docstring in the released notebook.
    """

    name: str
    targets: tuple[str, ...]
    arguments: tuple[str, ...]
    points: float = 1.0
    tolerance: float = 1.0
    question: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One file that somebody handed in. `student` is the platform's id, or the file's stem."""

    name: str
    student: str
    sha256: str
    content: bytes = dataclasses.field(repr=False)

    @staticmethod
    def of(content: bytes, *, name: str, student: str) -> Submission:
        """A file's bytes as a submission."""
        return Submission(name=name, student=student, sha256=hashlib.sha256(content).hexdigest(), content=content)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Where a function stands in a notebook: `cell` counts code cells from 1 (`In [n]`), `line` lines of that cell."""

    text: str
    cell: int
    line: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallError:
    """
    An exception that student code raised, as the student should see it.

    `traceback` has the student's own lines only. `line` and `cell` are those of the innermost one, or None.
    """

    type: str
    message: str
    traceback: str = ""
    cell: int | None = None
    line: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorstEntry:
    """The entry with the largest error in units of its tolerance. Values only for public cases."""

    index: tuple[int, ...]
    got: float
    expected: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """
    One call of one function, compared. Errors are absolute, and relative to the largest reference entry.

    Where an exercise has several targets, numbers and shapes are those of the worst one, `target`.
    """

    name: str
    outcome: Outcome
    public: bool
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    tolerance: float | None = None
    wrong_entries: int | None = None
    entries: int | None = None
    target: str | None = None
    shape: tuple[int, ...] | None = None
    expected_shape: tuple[int, ...] | None = None
    dtype: str | None = None
    expected_dtype: str | None = None
    type: str | None = None
    worst: WorstEntry | None = None
    error: CallError | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """
    A named explanation of a wrong gradient: what was observed, and hints that ask rather than tell.

    Attributes:
        id: Stable, such as `missing_mask`.
        message: What was observed, in the student's own names and shapes.
        hint: The first rung of the ladder.
        more: The rungs above it, each saying more than the one before.
        analogy: The same thought, worked through for another formula: never the answer itself.
    """

    id: str
    message: str
    hint: str = ""
    more: tuple[str, ...] = ()
    analogy: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth saying that costs no points: `id` is stable, `message` is for the student."""

    id: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something an instructor should look at, with its evidence."""

    id: str
    exercise: str | None
    evidence: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """
    What a reader may look at: the public batch's gradient and the student's, both float32 numpy arrays.

    Kept beside the report's plain data, and never written to its JSON.
    """

    target: str
    got: Any = dataclasses.field(repr=False)
    expected: Any = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """
    What an instructor decided by hand about one exercise, or about the total.

    Attributes:
        exercise: Empty for the total.
        points: They take the place of what the grader gave; None where there is only a comment.
        comment: For the student.
        reason: Why; for the student too.
        graded: What the grader gave; None where it could not decide. Known once it was applied to a report.
    """

    exercise: str = ""
    points: float | None = None
    comment: str = ""
    reason: str = ""
    graded: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseResult:
    """
    What is said about one exercise.

    Attributes:
        message: One sentence for the student.
        arguments: What the function is given, by name; with `targets`, its place in the network's graph.
        fingerprint: The same for two submissions whose wrong answers are the same; None where there is no wrong answer.
        views: For pictures (public batch only), one per target.
        adjustment: What an instructor decided; `points` are those of it already.
    """

    name: str
    outcome: Outcome
    points: float
    max_points: float
    arguments: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    fingerprint: str | None = None
    message: str = ""
    cases: tuple[CaseResult, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    notices: tuple[Notice, ...] = ()
    error: CallError | None = None
    code: Code | None = None
    question: str = ""
    views: tuple[BatchView, ...] = ()
    adjustment: Adjustment | None = None

    @staticmethod
    def of(exercise: Exercise, outcome: Outcome, message: str, **details: Any) -> ExerciseResult:
        """The result of an exercise, with all of its points or none; `details` are any other fields."""
        return ExerciseResult(
            name=exercise.name,
            outcome=outcome,
            points=exercise.points if outcome.passed else 0.0,
            max_points=exercise.points,
            arguments=exercise.arguments,
            targets=exercise.targets,
            message=message,
            question=exercise.question,
            **details,
        )

    @property
    def passed(self) -> bool | None:
        """See `Outcome.passed`."""
        return self.outcome.passed

    @property
    def is_decided(self) -> bool:
        """Whether its points count: by the grader's verdict, or by an instructor's."""
        return self.passed is not None or (self.adjustment is not None and self.adjustment.points is not None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Losses before each step of gradient descent: with autograd's gradients, and with the student's."""

    reference: tuple[float, ...]
    student: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """
    All of a student's functions composed into one backward pass, on the public batch.

    `links` maps an exercise to the outcome of its gradient *within the chain*, where it is fed what the student's own
    functions made. It decides no points.
    """

    links: Mapping[str, Outcome]
    training: Curve | None = None
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotebookSummary:
    """How the notebook ran: `first_error` is a sentence such as `In [4]: NameError: name 'z1' is not defined`."""

    cells: int
    executed: int
    first_error: str | None = None
    problem: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Everything there is to say about one submission: plain data, rendered elsewhere.

    Attributes:
        gives_marks: False for a student's own check, which tells the same and counts nothing; and where points are
            withheld.
        adjustment: What an instructor decided about the total.
        release: Until this moment students see less; empty if they may see everything.
        is_shown: Whether this is what a student may see before that.
    """

    assignment_id: str
    assignment_title: str
    assignment_version: str
    submission: Submission
    exercises: tuple[ExerciseResult, ...]
    notebook: NotebookSummary
    flags: tuple[Flag, ...] = ()
    chain: Chain | None = None
    sandbox_layers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    gives_marks: bool = True
    adjustment: Adjustment | None = None
    release: str = ""
    is_shown: bool = True

    @property
    def score(self) -> float:
        """Points earned."""
        if self.adjustment is not None and self.adjustment.points is not None:
            return self.adjustment.points
        return sum(exercise.points for exercise in self.exercises if exercise.is_decided)

    @property
    def max_score(self) -> float:
        """Points that could be earned; an exercise that could not be decided is left out, and so costs nothing."""
        is_given = self.adjustment is not None and self.adjustment.points is not None
        return sum(exercise.max_points for exercise in self.exercises if exercise.is_decided or is_given)

    @property
    def graded_score(self) -> float | None:
        """Points before an instructor's adjustments; None where the grader could not decide all of them."""
        given = [each.points if each.adjustment is None else each.adjustment.graded for each in self.exercises]
        is_decided = all(each.passed is not None for each in self.exercises)
        return sum(points or 0.0 for points in given) if is_decided else None


def most_telling(outcomes: list[Outcome]) -> Outcome:
    """The outcome that stands for several: the first in the order of display."""
    return min(outcomes, key=list(Outcome).index)
