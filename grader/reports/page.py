"""
Puts a `Report` into the words and numbers that people read; a template then only lays them out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from grader.model import Chain, ExerciseResult, Flag, Outcome, Report
from grader.reports.exercises import MAX_ITEMS, AdjustmentView, ExerciseView, adjustment_view, exercise_view
from grader.reports.graph import Box, Edge, draw_graph
from grader.reports.svg import CurvePlot, plot_curve
from grader.reports.words import LINKS, NEXT_STEPS, VERDICTS, Verdict, clip
from grader.sandbox.levels import Level, level_of
from grader.version import __version__

__all__ = ["Page", "build_page"]


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
    sandbox: str
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
    exercises = tuple(exercise_view(*pair, report.data) for pair in zip(report.exercises, anchors, strict=True))
    return Page(
        title=clip(report.assignment_title or report.assignment_id, 200),
        submission=clip(report.submission.name, 200),
        score=f"{report.score:g}" if report.max_score else "–",
        max_score=f"{report.max_score:g}" if report.max_score else "–",
        summary=() if problem else tuple(_summary(report.exercises)),
        problem=clip(problem) if problem else None,
        gives_marks=report.gives_marks,
        withheld=_withheld(report),
        adjustment=adjustment_view(report.adjustment, report.max_score) if report.adjustment else None,
        exercises=() if problem else exercises,
        chain=_chain(report.chain, report.exercises, anchors) if report.chain and not problem else None,
        flags=tuple(dataclasses.replace(flag, evidence=clip(flag.evidence)) for flag in report.flags[:MAX_ITEMS]),
        facts=tuple((name, clip(value)) for name, value in facts if problem is None or name != "Notebook"),
        notes=tuple(clip(note) for note in report.notes[:MAX_ITEMS]),
        sandbox=_sandbox(report.sandbox_layers),
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


def _sandbox(layers: Sequence[str]) -> str:
    """How the notebook was confined, a sentence; empty if it was not run."""
    if not layers:
        return ""
    level = level_of(layers)
    if level is Level.NONE:
        return "The notebook ran in a process of its own, in no complete sandbox."
    return f"The notebook ran in a sandbox of the level {level.label}."


def _summary(results: Sequence[ExerciseResult]) -> Iterable[str]:
    graded = [result for result in results if result.passed is not None]
    # Where parts have points of their own, they count, and not the function that returns them.
    passed = [part.outcome.passed for result in graded for part in result.parts or [result]]
    right, count = len([one for one in passed if one]), len(passed)
    noun = "exercise" if any(result.arguments and not result.targets for result in results) else "gradient"
    if any(result.parts for result in graded):
        noun = "part" if all(result.parts for result in graded) else "result"
    if count == 1:
        yield f"The {noun} is right." if right else f"The {noun} is not right yet."
    elif count and right == count:
        yield f"All {count} {noun}s are right."
    elif right:
        yield f"{_so_many(right, count, f'{noun}s')} right."
    elif count:
        yield f"None of the {count} {noun}s are right yet."
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


def _chain(chain: Chain, results: Sequence[ExerciseResult], anchors: Sequence[str]) -> ChainView:
    alone = {result.name: (result.outcome, anchor) for result, anchor in zip(results, anchors, strict=True)}
    links = tuple(
        ChainLink(name=clip(name, 120), anchor=alone[name][1], verdict=LINKS[_link(alone[name][0], outcome)])
        for name, outcome in chain.links.items()
        if name in alone
    )
    right = len([link for link in links if link.verdict.kind == "right"])
    summary = "Here each function is called with the gradients that your other functions returned. "
    if links and right == len(links) and not chain.message and not chain.given:
        summary += "Together they carry the gradient from the loss to every parameter."
    else:
        summary += f"{_so_many(right, len(links), 'functions')} right."
    if chain.given:
        no_exercise = "no exercise asks for it" if len(chain.given) == 1 else "no exercise asks for them"
        summary += f" From autograd, because {no_exercise}: {clip(', '.join(chain.given))}."
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
