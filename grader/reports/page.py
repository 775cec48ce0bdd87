"""
Puts a `Report` into the words and numbers that people read; a template then only lays them out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from grader.model import Adjustment, CallError, CaseResult, Chain, Diagnosis, ExerciseResult, Flag, Outcome, Report
from grader.reports.graph import Box, Edge, draw_graph
from grader.reports.listing import CodeView, list_code
from grader.reports.pictures import Gallery, picture_view
from grader.reports.svg import CurvePlot, number, plot_curve
from grader.reports.words import LINKS, NEXT_STEPS, VERDICTS, Verdict, clip, what_case_is
from grader.version import __version__

__all__ = ["Page", "build_page"]

MAX_TRACEBACK, MAX_QUESTION = 4_000, 3_000
MAX_ITEMS = 40


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """An exception that a student's code raised; `where` is its cell and line."""

    type: str
    message: str
    where: str
    traceback: str


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
    galleries: tuple[Gallery, ...]
    question: str
    adjustment: AdjustmentView | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainLink:
    """One function within the backward pass."""

    name: str
    anchor: str
    verdict: Verdict


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """The backward pass as a drawing: boxes with their functions (none for the loss), edges with a verdict."""

    width: int
    height: int
    boxes: tuple[tuple[Box, ChainLink | None], ...]
    edges: tuple[tuple[Edge, str], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """The backward pass, made of all of a student's functions."""

    links: tuple[ChainLink, ...]
    graph: GraphView
    summary: str
    message: str
    plot: CurvePlot | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the page, in words."""

    title: str
    submission: str
    score: str
    max_score: str
    summary: tuple[str, ...]
    problem: str | None
    gives_marks: bool
    withheld: str
    adjustment: AdjustmentView | None
    exercises: tuple[ExerciseView, ...]
    chain: ChainView | None
    flags: tuple[Flag, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    layers: tuple[str, ...]


# ------------------------------------------------------------------------------------------------- a report in words


def build_page(report: Report) -> Page:
    """Put a report into the words and numbers of the page."""
    problem = report.notebook.problem
    executed = f"{report.notebook.executed} of {report.notebook.cells} code cells were run"
    first_error = report.notebook.first_error
    errors = f"the first error: {clip(first_error)}" if first_error else "none raised an error"
    facts = [
        ("Submission", report.submission.name),
        ("SHA-256", report.submission.sha256),
        ("Assignment", f"{report.assignment_id}, version {report.assignment_version}"),
        ("Notebook", f"{executed}; {errors}"),
        ("Graded by", f"grader {__version__}"),
    ]
    if not report.gives_marks:
        facts = [("Notebook", report.submission.name), ("Checked by", f"grader {__version__}, without marks")]
    anchors = _anchors(report.exercises)
    exercises = tuple(_exercise(*pair, report.data) for pair in zip(report.exercises, anchors, strict=True))
    return Page(
        title=clip(report.assignment_title or report.assignment_id, 200),
        submission=clip(report.submission.name, 200),
        score=f"{report.score:g}" if report.max_score else "–",
        max_score=f"{report.max_score:g}" if report.max_score else "–",
        summary=() if problem else tuple(_summary(report.exercises)),
        problem=clip(problem) if problem else None,
        gives_marks=report.gives_marks,
        withheld=_withheld(report),
        adjustment=_adjustment(report.adjustment, report.max_score) if report.adjustment else None,
        exercises=() if problem else exercises,
        chain=_chain(report.chain, report.exercises, anchors) if report.chain and not problem else None,
        flags=tuple(dataclasses.replace(flag, evidence=clip(flag.evidence)) for flag in report.flags[:MAX_ITEMS]),
        facts=tuple((name, clip(value)) for name, value in facts if problem is None or name != "Notebook"),
        notes=tuple(clip(note) for note in report.notes[:MAX_ITEMS]),
        layers=report.sandbox_layers[:MAX_ITEMS],
    )


def _withheld(report: Report) -> str:
    """What a report says about a release date in the future."""
    if not report.release:
        return ""
    until = f"{report.release[:10]}, {report.release[11:16]} (UTC{report.release[-6:]})"
    if not report.is_shown:
        return f"For the instructor: students see less than this until {until}."
    return f"Until {until}, this report shows no marks and only some of the results."


def _adjustment(adjustment: Adjustment, max_points: float) -> AdjustmentView:
    points = ""
    if adjustment.points is not None:
        before = "no grade" if adjustment.graded is None else f"{adjustment.graded:g}"
        points = f"{adjustment.points:g} of {max_points:g} points instead of {before}"
    return AdjustmentView(
        points=points, reason=clip(adjustment.reason, MAX_QUESTION), comment=clip(adjustment.comment, MAX_QUESTION)
    )


def _summary(results: Sequence[ExerciseResult]) -> Iterable[str]:
    graded = [result for result in results if result.passed is not None]
    right = [result for result in graded if result.passed]
    if len(graded) == 1:
        yield "The gradient is right." if right else "The gradient is not right yet."
    elif graded and len(right) == len(graded):
        yield f"All {len(graded)} gradients are right."
    elif right:
        yield f"{_so_many(len(right), len(graded), 'gradients')} right."
    elif graded:
        yield f"None of the {len(graded)} gradients are right yet."
    for kind, words in NEXT_STEPS.items():
        names = [result.name for result in results if VERDICTS[result.outcome].kind == kind]
        if names:
            yield f"{words}: {clip(', '.join(names))}."


def _so_many(some: int, total: int, noun: str) -> str:
    return f"{some} of {total} {noun} {'is' if some == 1 else 'are'}"


def _anchors(results: Sequence[ExerciseResult]) -> list[str]:
    """An id for each exercise: its name if that is simple and not taken yet, else its number."""
    simple = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
    names = [result.name for result in results]
    return [
        f"exercise-{name if simple.fullmatch(name) and name not in names[:index] else index + 1}"
        for index, name in enumerate(names)
    ]


def _exercise(result: ExerciseResult, anchor: str, data: Mapping[str, str]) -> ExerciseView:
    right = result.passed is True
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
        notices=tuple(clip(notice.message) for notice in result.notices[:MAX_ITEMS]),
        error=_error(result.error) if result.error else None,
        code=list_code(result.code, result.error) if result.code else None,
        facts=_facts(wrong or next((case for case in result.cases if right and case.public), None)),
        facts_of=wrong.part if wrong is not None and wrong.part else "",
        worst=_worst(wrong),
        wrong_share=_wrong_share(wrong),
        cases=tuple(_case(case, data) for case in result.cases[:MAX_ITEMS]),
        cases_summary=_cases_summary(result.cases),
        cases_open=len({case.outcome.passed for case in result.cases}) > 1,
        galleries=tuple(
            picture_view(view, right=right, tolerance=_tolerance(result.cases, view.part))
            for view in result.views
            if view.got.size >= fewest_entries
        ),
        question=clip(result.question.strip(), MAX_QUESTION),
        adjustment=_adjustment(result.adjustment, result.max_points) if result.adjustment else None,
    )


def _because(result: ExerciseResult, data: Mapping[str, str]) -> str:
    """What is special about the first wrong case, if the result is right on the public batch."""
    public = [case.outcome for case in result.cases if case.public]
    wrong = next((case for case in result.cases if case.outcome is not Outcome.MATCH), None)
    return what_case_is(wrong.name, data) if wrong is not None and Outcome.MATCH in public else ""


def _error(error: CallError) -> ErrorView:
    where = ""
    if error.line is not None:
        where = f"line {error.line}" if error.cell is None else f"In [{error.cell}], line {error.line}"
    return ErrorView(
        type=clip(error.type, 120),
        message=clip(error.message),
        where=where,
        traceback=clip(error.traceback.rstrip(), MAX_TRACEBACK),
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


def _case(case: CaseResult, data: Mapping[str, str]) -> CaseRow:
    return CaseRow(
        name=clip(case.name, 80),
        what=what_case_is(case.name, data),
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


def _chain(chain: Chain, results: Sequence[ExerciseResult], anchors: Sequence[str]) -> ChainView:
    alone = {result.name: (result.outcome, anchor) for result, anchor in zip(results, anchors, strict=True)}
    links = tuple(
        ChainLink(name=clip(name, 120), anchor=alone[name][1], verdict=LINKS[_link(alone[name][0], outcome)])
        for name, outcome in chain.links.items()
        if name in alone
    )
    right = len([link for link in links if link.verdict.kind == "right"])
    summary = "Here each function is called with the gradients that your other functions returned. "
    if links and right == len(links):
        summary += "Together they carry the gradient from the loss to every parameter."
    else:
        summary += f"{_so_many(right, len(links), 'results')} right."
    graph = draw_graph([result for result in results if result.name in chain.links])
    by_name = dict(zip((name for name in chain.links if name in alone), links, strict=True))
    return ChainView(
        links=links,
        graph=GraphView(
            width=graph.width,
            height=graph.height,
            boxes=tuple((box, by_name.get(box.name)) for box in graph.boxes),
            edges=tuple((edge, by_name[edge.name].verdict.kind) for edge in graph.edges),
        ),
        summary=summary,
        message=clip(chain.message),
        plot=plot_curve(chain.training) if chain.training else None,
    )


def _link(alone: Outcome, in_chain: Outcome) -> str:
    """The key in LINKS of a function, from its outcome with right arguments and its outcome within the chain."""
    kind = VERDICTS[alone].kind
    if kind == "right":
        return {Outcome.MATCH: "right", Outcome.SKIPPED: "unreached"}.get(in_chain, "inherits")
    if alone is Outcome.FORBIDDEN:
        return "forbidden"
    if VERDICTS[in_chain].symbol == "!":
        return "broken"
    return "undecided" if kind == "unknown" else kind
