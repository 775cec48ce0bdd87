"""
Puts the result of one exercise into the words and numbers that people read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from grader.model import Adjustment, CallError, CaseResult, Diagnosis, ExerciseResult, Outcome
from grader.reports.counterexamples import CounterexampleView, counterexample_view
from grader.reports.listing import CodeView, list_code
from grader.reports.pictures import Gallery, picture_view
from grader.reports.svg import number
from grader.reports.words import VERDICTS, Verdict, clip, what_case_is

__all__ = ["MAX_ITEMS", "AdjustmentView", "ExerciseView", "adjustment_view", "exercise_view"]

MAX_TRACEBACK, MAX_QUESTION = 4_000, 3_000
MAX_ITEMS = 40
MOST_GALLERIES = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """
    An exception that a student's code raised; `where` is its cell and line.

    `is_quoted` says whether the message of the exercise has all of its type and message already.
    """

    type: str
    message: str
    where: str
    traceback: str
    is_quoted: bool

    @property
    def is_placed(self) -> bool:
        """Whether the traceback says where it was raised."""
        return self.where in self.traceback


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A row of the table of cases. A hidden case has only an outcome."""

    name: str
    what: str
    public: bool
    verdict: Verdict
    absolute: str
    relative: str
    tolerance: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A property of the returned gradient: the expected value and the student's."""

    name: str
    expected: str
    got: str
    agrees: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentView:
    """An instructor's decision: how the points changed (or nothing), the reason, and a comment for the student."""

    points: str
    reason: str
    comment: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """A row of the table of parts that have points of their own."""

    name: str
    verdict: Verdict
    right: bool
    points: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseView:
    """One exercise on the page."""

    anchor: str
    name: str
    verdict: Verdict
    right: bool
    is_undecided: bool
    points: str
    message: str
    because: str
    diagnoses: tuple[Diagnosis, ...]
    counterexample: CounterexampleView | None
    notices: tuple[str, ...]
    error: ErrorView | None
    code: CodeView | None
    facts: tuple[Fact, ...]
    facts_of: str
    worst: tuple[str, str, str] | None
    wrong_share: str
    cases: tuple[CaseRow, ...]
    cases_summary: str
    cases_open: bool
    parts: tuple[PartRow, ...]
    galleries: tuple[Gallery, ...]
    question: str
    adjustment: AdjustmentView | None


def adjustment_view(adjustment: Adjustment, max_points: float) -> AdjustmentView:
    """An instructor's decision in words; `max_points` are those of the exercise, or the total."""
    points = ""
    if adjustment.points is not None:
        before = "no grade" if adjustment.graded is None else f"{adjustment.graded:g}"
        points = f"{adjustment.points:g} of {max_points:g} points instead of {before}"
    return AdjustmentView(
        points=points, reason=clip(adjustment.reason, MAX_QUESTION), comment=clip(adjustment.comment, MAX_QUESTION)
    )


def exercise_view(result: ExerciseResult, anchor: str, data: Mapping[str, str]) -> ExerciseView:
    """
    One exercise in the words and numbers of the page.

    Args:
        anchor: Its id there.
        data: What the author calls the data, see `grader.reports.words`.
    """
    right = result.passed is True
    right_parts = {part.name for part in result.parts if part.outcome.passed}
    wrong = next((case for case in result.cases if case.public and case.outcome is not Outcome.MATCH), None)
    # A single number is in the table already.
    fewest_entries = 2 if wrong is not None and wrong.worst is not None else 1
    return ExerciseView(
        anchor=anchor,
        name=clip(result.name, 120),
        verdict=VERDICTS[result.outcome],
        right=right,
        is_undecided=not result.is_decided,
        points=f"{result.points:g} / {result.max_points:g}" if result.is_decided else "not counted",
        message=clip(result.message),
        because=_because(result, data),
        diagnoses=tuple(
            Diagnosis(
                id=diagnosis.id,
                message=clip(diagnosis.message),
                hint=clip(diagnosis.hint),
                more=tuple(clip(hint) for hint in diagnosis.more[:MAX_ITEMS]),
                analogy=clip(diagnosis.analogy, MAX_QUESTION),
            )
            for diagnosis in result.diagnoses[:MAX_ITEMS]
        ),
        counterexample=counterexample_view(result.counterexample, result.name, data),
        notices=tuple(clip(notice.message) for notice in result.notices[:MAX_ITEMS]),
        error=_error(result.error, result.message) if result.error else None,
        code=list_code(result.code, result.error) if result.code else None,
        facts=_facts(wrong or next((case for case in result.cases if right and case.public), None)),
        facts_of=wrong.part if wrong is not None and wrong.part else "",
        worst=_worst(wrong),
        wrong_share=_wrong_share(wrong),
        cases=tuple(_case(case, result, data) for case in result.cases[:MAX_ITEMS]),
        cases_summary=_cases_summary(result.cases),
        cases_open=len({case.outcome.passed for case in result.cases}) > 1,
        parts=tuple(
            PartRow(
                name=clip(part.name, 80),
                verdict=VERDICTS[part.outcome],
                right=part.name in right_parts,
                points=f"{part.points:g} / {part.max_points:g}",
            )
            for part in result.parts
        ),
        galleries=_galleries(result, right_parts, fewest_entries),
        question=clip(result.question.strip(), MAX_QUESTION),
        adjustment=adjustment_view(result.adjustment, result.max_points) if result.adjustment else None,
    )


def _galleries(result: ExerciseResult, right_parts: set[str], fewest_entries: int) -> tuple[Gallery, ...]:
    """The pictures of the parts of a result. Where some are wrong, only those."""
    gradients = {f"d{target}" for target in result.targets}
    galleries = [
        picture_view(
            view,
            right=result.passed is True or view.part in right_parts,
            tolerance=_tolerance(result.cases, view.part),
            what="gradient" if view.part in gradients else "result",
        )
        for view in result.views
        if view.got.size >= fewest_entries
    ]
    wrong = [gallery for gallery in galleries if not gallery.single]
    return tuple((wrong or galleries)[:MOST_GALLERIES])


def _because(result: ExerciseResult, data: Mapping[str, str]) -> str:
    """What is special about the first wrong case, if the result is right on the public batch."""
    public = [case.outcome for case in result.cases if case.public]
    wrong = next((case for case in result.cases if case.outcome is not Outcome.MATCH), None)
    if wrong is None or Outcome.MATCH not in public:
        return ""
    return what_case_is(wrong.name, data, takes_upstream=bool(result.upstream))


def _error(error: CallError, sentence: str) -> ErrorView:
    where = ""
    if error.line is not None:
        where = f"line {error.line}" if error.cell is None else f"In [{error.cell}], line {error.line}"
    return ErrorView(
        type=clip(error.type, 120),
        message=clip(error.message),
        where=where,
        traceback=clip(error.traceback.rstrip(), MAX_TRACEBACK),
        is_quoted=": ".join(filter(None, (error.type, error.message.strip().rstrip(".")))) in sentence,
    )


def _facts(case: CaseResult | None) -> tuple[Fact, ...]:
    if case is None or (case.shape is None and case.dtype is None):
        return ()
    return tuple(
        Fact(
            name=name,
            expected=clip(str(expected), 24) if expected is not None else "–",
            got=clip(str(got), 24) if got is not None else "–",
            # A wider dtype than expected is accepted, so only the outcome says whether the dtype is wrong.
            agrees=expected is None or got == expected or (name == "dtype" and case.outcome is not Outcome.WRONG_DTYPE),
        )
        for name, expected, got in (
            ("shape", case.expected_shape, case.shape),
            ("dtype", case.expected_dtype, case.dtype),
        )
    )


def _worst(case: CaseResult | None) -> tuple[str, str, str] | None:
    if case is None or case.worst is None or not case.public:
        return None
    index = ", ".join(str(position) for position in case.worst.index)
    return f"[{index}]", number(case.worst.expected), number(case.worst.got)


def _wrong_share(case: CaseResult | None) -> str:
    if case is None or case.wrong_entries is None or not case.entries:
        return ""
    return f"{case.wrong_entries:,} of {case.entries:,}"


def _case(case: CaseResult, result: ExerciseResult, data: Mapping[str, str]) -> CaseRow:
    return CaseRow(
        name=clip(case.name, 80),
        what=what_case_is(case.name, data, takes_upstream=bool(result.upstream)),
        public=case.public,
        verdict=VERDICTS[case.outcome],
        absolute="–" if case.max_abs_error is None or not case.public else number(case.max_abs_error, digits=3),
        relative=_relative(case.max_rel_error if case.public else None),
        tolerance="–" if case.tolerance is None or not case.public else number(case.tolerance, digits=2),
    )


def _relative(error: float | None) -> str:
    if error is None:
        return "–"
    return f"{number(100 * error, digits=3)} %" if error < 10 else f"{number(error, digits=3)} ×"


def _cases_summary(cases: Sequence[CaseResult]) -> str:
    right = len([case for case in cases if case.outcome.passed])
    inputs = f"{len(cases)} input" if len(cases) == 1 else f"{len(cases)} inputs"
    count = {0: "none", len(cases): "all"}.get(right, str(right))
    return f"Tried on {inputs}: right on {count}"


def _tolerance(cases: Sequence[CaseResult], part: str) -> float | None:
    return next((case.tolerance for case in cases if case.public and case.part in (None, part)), None)
