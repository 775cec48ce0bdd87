"""
The concepts of the grader, as frozen data.

Glossary: x, y, w, b are a network's inputs, labels, weights and biases; N is the number of rows in a batch;
`dNAME` is the gradient of the loss with respect to `NAME`, and has the same shape.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping
from typing import Any

from grader.calling.exercise import Exercise
from grader.calling.tables import Counterexample

__all__ = [
    "Adjustment",
    "BatchView",
    "CallError",
    "CaseResult",
    "Chain",
    "Code",
    "Curve",
    "Diagnosis",
    "ExerciseResult",
    "Flag",
    "Limits",
    "NotebookSummary",
    "Notice",
    "Outcome",
    "PartResult",
    "Report",
    "Submission",
    "WorstEntry",
    "most_telling",
]


class Outcome(enum.Enum):
    """What became of an exercise or of one of its cases, in the order of display: the first one says most."""

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
        """True, False, or None if nothing could be decided, which never costs a point."""
        if self in (Outcome.SKIPPED, Outcome.GRADER_ERROR):
            return None
        return self is Outcome.MATCH


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What one submission may use. Seconds are wall time unless the name says CPU; sizes are in MiB or bytes as named.

    `call_s` and `call_cpu_s` are for all cases of one exercise together; `cpu_s` is for the notebook and all calls. CPU
    time counts all processes together.
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
class Submission:
    """One file that somebody handed in. `student` is an id from the platform, or the stem of the file's name."""

    name: str
    student: str
    sha256: str
    content: bytes = dataclasses.field(repr=False)

    @staticmethod
    def of(content: bytes, *, name: str, student: str) -> Submission:
        """A submission with these bytes."""
        return Submission(name=name, student=student, sha256=hashlib.sha256(content).hexdigest(), content=content)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The code of a function, and where it is: the number of its cell, `In [cell]`, and the line there, from 1."""

    text: str
    cell: int
    line: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallError:
    """
    An exception that a student's code raised, as the student should see it.

    `traceback` has only the student's own lines. `cell` and `line` are the place of the innermost one, or None.
    """

    type: str
    message: str
    traceback: str = ""
    cell: int | None = None
    line: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorstEntry:
    """The entry with the largest error."""

    index: tuple[int, ...]
    got: float
    expected: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """
    The result of calling a function on one case. A hidden case has only a name and an outcome.

    Relative errors are relative to the reference's largest entry. Of several parts, the worst one, `part`, counts.
    """

    name: str
    outcome: Outcome
    public: bool
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    tolerance: float | None = None
    wrong_entries: int | None = None
    entries: int | None = None
    part: str | None = None
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
    A named explanation of a wrong gradient: what was observed, and hints that ask questions.

    Attributes:
        id: A stable name, such as `missing_mask`.
        message: What was observed, with the student's own names and shapes.
        hint: The first hint.
        more: The other hints, each of which says more than the one before.
        analogy: The same idea, worked through for another formula: never the answer itself.
    """

    id: str
    message: str
    hint: str = ""
    more: tuple[str, ...] = ()
    analogy: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A remark that costs no points: `id` is stable, `message` is for the student."""

    id: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something that an instructor should check, with its evidence. It may rest on hidden cases (`is_hidden`)."""

    id: str
    exercise: str | None
    evidence: str
    is_hidden: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """
    For pictures only: the student's gradient on the public batch and the right one, as float32 numpy arrays.

    `part` is what it is called, `dw1`.
    """

    part: str
    got: Any = dataclasses.field(repr=False)
    expected: Any = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """
    What an instructor decided by hand about one exercise, or about the total.

    Attributes:
        exercise: Empty for the total.
        points: They replace the points that the grader gave; None if there is only a comment.
        comment: For the student.
        reason: Why the points were changed, for the student.
        graded: The points that the grader gave, once the adjustment is applied; None if the grader could not decide.
    """

    exercise: str = ""
    points: float | None = None
    comment: str = ""
    reason: str = ""
    graded: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """What became of one part of a result, `dw1`, that has points of its own."""

    name: str
    outcome: Outcome
    points: float
    max_points: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseResult:
    """
    The result of one exercise.

    Attributes:
        message: One sentence for the student.
        arguments: The function's, of which `upstream` are gradients; with `targets`, its place in the graph.
        fingerprint: Equal for submissions with the same wrong answer; None if the answer is not wrong.
        views: One per target, for pictures; public batch only.
        parts: The parts that have points of their own, which then add up.
        shares: The points of each of these parts, also if nothing was called; empty if there are none.
        adjustment: What an instructor decided; `points` already include it.
        before_hidden: The result as if there were no hidden cases; None if this one does not depend on any.
    """

    name: str
    outcome: Outcome
    points: float
    max_points: float
    arguments: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    fingerprint: str | None = None
    message: str = ""
    cases: tuple[CaseResult, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    counterexample: Counterexample | None = None
    notices: tuple[Notice, ...] = ()
    error: CallError | None = None
    code: Code | None = None
    question: str = ""
    views: tuple[BatchView, ...] = ()
    parts: tuple[PartResult, ...] = ()
    shares: tuple[float, ...] = ()
    adjustment: Adjustment | None = None
    before_hidden: ExerciseResult | None = dataclasses.field(default=None, repr=False)

    @staticmethod
    def of(exercise: Exercise, outcome: Outcome, message: str, **details: Any) -> ExerciseResult:
        """The result, with all points or none, or with those of its `parts`. `details` are any other fields."""
        earned = sum((part.points for part in details.get("parts", ())), 0.0)
        return ExerciseResult(
            name=exercise.name,
            outcome=outcome,
            points=exercise.points if outcome.passed else earned,
            max_points=exercise.points,
            arguments=exercise.arguments,
            targets=exercise.targets,
            shares=exercise.shares,
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
        """Whether the exercise has points: from the grader, or from an instructor."""
        return self.passed is not None or (self.adjustment is not None and self.adjustment.points is not None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The loss before each step of gradient descent: with autograd's gradients, and with the student's."""

    reference: tuple[float, ...]
    student: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """
    All of a student's functions composed into one backward pass, on the public batch. It decides no points.

    `links`: by exercise, the outcome *in the chain*, with arguments from other functions. `given`: those of autograd.
    """

    links: Mapping[str, Outcome]
    given: tuple[str, ...] = ()
    training: Curve | None = None
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotebookSummary:
    """How it ran, with a sentence about the first error; and the assignment that it names, if that is another one."""

    cells: int
    executed: int
    first_error: str | None = None
    problem: str | None = None
    of_assignment: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Everything that the grader reports about one submission.

    Attributes:
        gives_marks: False for a student's own check, which gives no points, and while points are withheld.
        adjustment: What an instructor decided about the total.
        release: The moment from which students may see everything; empty if they may already.
        is_shown: Whether this is the copy that a student may see before that moment.
        data: What the data is called, as in `Assignment.data`.
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
    data: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def score(self) -> float:
        """The points that were earned."""
        if self.adjustment is not None and self.adjustment.points is not None:
            return self.adjustment.points
        return sum(exercise.points for exercise in self.exercises if exercise.is_decided)

    @property
    def max_score(self) -> float:
        """The points that could be earned. An exercise that could not be decided is left out, and so costs nothing."""
        is_adjusted = self.adjustment is not None and self.adjustment.points is not None
        return sum(exercise.max_points for exercise in self.exercises if exercise.is_decided or is_adjusted)

    @property
    def graded_score(self) -> float | None:
        """The points before an instructor's adjustments; None if the grader could not decide all of them."""
        if any(result.passed is None for result in self.exercises):
            return None
        return sum((r.points if r.adjustment is None else r.adjustment.graded) or 0.0 for r in self.exercises)


def most_telling(outcomes: list[Outcome]) -> Outcome:
    """The outcome that represents several: the first one in the order of display."""
    return min(outcomes, key=list(Outcome).index)
