"""
A report in words: a `Report` as plain data for people, which a page only has to lay out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from grader import __version__
from grader.model import Adjustment, CallError, CaseResult, Chain, Diagnosis, ExerciseResult, Flag, Outcome, Report
from grader.reports.graph import Box, Edge, draw_graph
from grader.reports.listing import CodeView, list_code
from grader.reports.pictures import Gallery, picture_view
from grader.reports.svg import CurvePlot, number, plot_curve
from grader.reports.words import CASES, LINKS, VERDICTS, Verdict, clip

__all__ = ["Page", "build_page"]

MAX_TRACEBACK, MAX_QUESTION = 4_000, 3_000
MAX_ITEMS = 40


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """A student's exception."""

    type: str
    message: str
    where: str
    traceback: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """One case in the table. Hidden ones tell their outcome and how large the error is, nothing more."""

    name: str
    what: str
    public: bool
    verdict: Verdict
    absolute: str
    relative: str
    tolerance: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A property of the returned gradient: what was expected, and what came."""

    name: str
    expected: str
    got: str
    agrees: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentView:
    """What an instructor decided: how points changed, in words, or nothing; why; and what they say to the student."""

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
    ours: bool
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
    """One function within the whole backward pass."""

    name: str
    anchor: str
    verdict: Verdict


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """The same as a drawing: each box with its function, the loss with none; each edge with how its end holds."""

    width: int
    height: int
    boxes: tuple[tuple[Box, ChainLink | None], ...]
    edges: tuple[tuple[Edge, str], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """The whole backward pass."""

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
    """Put a report into the words and numbers that the page shows."""
    problem = report.notebook.problem
    notebook = f"{report.notebook.executed} of {report.notebook.cells} code cells were run"
    first_error = report.notebook.first_error
    facts = [
        ("Submission", report.submission.name),
        ("SHA-256", report.submission.sha256),
        ("Assignment", f"{report.assignment_id}, version {report.assignment_version}"),
        ("Notebook", notebook + (f"; the first error: {clip(first_error)}" if first_error else "; none raised")),
        ("Graded by", f"grader {__version__}"),
    ]
    if not report.gives_marks:
        facts = [("Notebook", report.submission.name), ("Checked by", f"grader {__version__}, without marks")]
    anchors = _anchors(report.exercises)
    exercises = tuple(_exercise(result, anchor) for result, anchor in zip(report.exercises, anchors, strict=True))
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
    """What is to be said of a release date that is still to come."""
    if not report.release:
        return ""
    until = f"{report.release[:10]}, {report.release[11:16]} (UTC{report.release[-6:]})"
    if not report.is_shown:
        return f"For the instructor: students see less than this until {until}."
    return f"Until {until} there are no marks here, and not everything that was tried is told."


def _adjustment(given: Adjustment, worth: float) -> AdjustmentView:
    points = ""
    if given.points is not None:
        before = "what could not be graded" if given.graded is None else f"{given.graded:g}"
        points = f"{given.points:g} of {worth:g} points, in place of {before}"
    return AdjustmentView(
        points=points, reason=clip(given.reason, MAX_QUESTION), comment=clip(given.comment, MAX_QUESTION)
    )


def _summary(results: Sequence[ExerciseResult]) -> Iterable[str]:
    graded = [result for result in results if result.passed is not None]
    right = sum(result.passed is True for result in graded)
    gradients = "gradient is" if len(graded) == 1 else "gradients are"
    if graded and right == len(graded):
        yield f"All {right} {gradients} right." if right > 1 else "The gradient is right."
    elif right:
        yield f"{right} of {len(graded)} {gradients} right."
    elif graded:
        yield f"None of the {len(graded)} {gradients} right yet."
    by_kind = {
        kind: [result.name for result in results if VERDICTS[result.outcome].kind == kind]
        for kind in ("wrong", "open", "unknown")
    }
    if by_kind["wrong"]:
        yield f"Rethink: {clip(', '.join(by_kind['wrong']))}."
    if by_kind["open"]:
        yield f"Still to do: {clip(', '.join(by_kind['open']))}."
    if by_kind["unknown"]:
        yield f"Could not be graded, at no cost to you: {clip(', '.join(by_kind['unknown']))}."


def _anchors(results: Sequence[ExerciseResult]) -> list[str]:
    """An id for each exercise: its name, if that is a plain one and its own, else its number."""
    plain = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
    names = [result.name for result in results]
    return [
        f"exercise-{name if plain.fullmatch(name) and name not in names[:place] else place + 1}"
        for place, name in enumerate(names)
    ]


def _exercise(result: ExerciseResult, anchor: str) -> ExerciseView:
    right = result.passed is True
    # Where an exception stopped everything, the public case has nothing to compare.
    public = next((case for case in result.cases if case.public and case.outcome is not Outcome.MATCH), None)
    telling = public or next((c for c in result.cases if c.outcome in (Outcome.WRONG_SHAPE, Outcome.WRONG_DTYPE)), None)
    return ExerciseView(
        anchor=anchor,
        name=clip(result.name, 120),
        verdict=VERDICTS[result.outcome],
        right=right,
        ours=not result.is_decided,
        points="not counted" if not result.is_decided else f"{result.points:g} / {result.max_points:g}",
        message=clip(result.message),
        because=_because(result),
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
        facts=_facts(telling or next((case for case in result.cases if right and case.public), None)),
        facts_of=f"d{telling.target}" if telling is not None and telling.target else "",
        worst=_worst(public),
        wrong_share=_wrong_share(public),
        cases=tuple(_case(case) for case in result.cases[:MAX_ITEMS]),
        cases_summary=_cases_summary(result.cases),
        cases_open=len({case.outcome.passed for case in result.cases}) > 1,
        galleries=tuple(
            picture_view(view, right=right, tolerance=_tolerance(result.cases, view.target))
            for view in result.views
            # A single number stands in the table already.
            if view.got.size > (public is not None and public.worst is not None)
        ),
        question=clip(result.question.strip(), MAX_QUESTION),
        adjustment=_adjustment(result.adjustment, result.max_points) if result.adjustment else None,
    )


def _because(result: ExerciseResult) -> str:
    """Where the batch that can be looked at is right, and another case is not: what is special about that one."""
    public = [case.outcome for case in result.cases if case.public]
    wrong = next((case for case in result.cases if case.outcome is not Outcome.MATCH), None)
    return CASES.get(wrong.name, "") if wrong is not None and Outcome.MATCH in public else ""


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
            # float64 where float32 was given is accepted: only the outcome says that a dtype is wrong.
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


def _case(case: CaseResult) -> CaseRow:
    return CaseRow(
        name=clip(case.name, 80),
        what=CASES.get(case.name, ""),
        public=case.public,
        verdict=VERDICTS[case.outcome],
        absolute="–" if case.max_abs_error is None else number(case.max_abs_error, digits=3),
        relative=_relative(case.max_rel_error),
        # In proportion to the reference, of which a hidden case tells nothing.
        tolerance="–" if case.tolerance is None or not case.public else number(case.tolerance, digits=2),
    )


def _relative(error: float | None) -> str:
    if error is None:
        return "–"
    return f"{number(100 * error, digits=3)} %" if error < 10 else f"{number(error, digits=3)} ×"


def _cases_summary(cases: Sequence[CaseResult]) -> str:
    right = sum(case.outcome.passed is True for case in cases)
    inputs = f"{len(cases)} input" if len(cases) == 1 else f"{len(cases)} inputs"
    return f"Tried on {inputs}: right on {'all' if right == len(cases) else right or 'none'}"


def _tolerance(cases: Sequence[CaseResult], target: str) -> float | None:
    return next((case.tolerance for case in cases if case.public and case.target in (None, target)), None)


def _chain(chain: Chain, results: Sequence[ExerciseResult], anchors: Sequence[str]) -> ChainView:
    own = {result.name: (result.outcome, anchor) for result, anchor in zip(results, anchors, strict=True)}
    links = tuple(
        ChainLink(name=clip(name, 120), anchor=own[name][1], verdict=LINKS[_link(own[name][0], outcome)])
        for name, outcome in chain.links.items()
        if name in own
    )
    right = sum(link.verdict.kind == "right" for link in links)
    summary = (
        "Your functions, each fed with what the others made, carry the gradient all the way from the loss to the "
        "parameters."
        if links and right == len(links)
        else f"Each function is fed with what the others made. {right} of {len(links)} links hold."
    )
    graph = draw_graph([result for result in results if result.name in chain.links])
    by_name = dict(zip((name for name in chain.links if name in own), links, strict=True))
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


def _link(own: Outcome, within: Outcome) -> str:
    """How a link holds: what it is by itself comes first, then what it makes of its neighbours' gradients."""
    kind = VERDICTS[own].kind
    if kind == "right":
        return {Outcome.MATCH: "right", Outcome.SKIPPED: "unreached"}.get(within, "inherits")
    if VERDICTS[within].symbol == "!":
        return "broken"
    return "undecided" if kind == "unknown" else kind
