"""
A report as the output of a notebook's cell: as a piece of HTML, and as text.

The HTML takes its text colour from the page around it, so that it fits light and dark notebooks. It runs no script,
loads nothing, and its style sheet changes nothing outside it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from markupsafe import Markup

from grader.model import Report
from grader.reports.counterexamples import lines_of
from grader.reports.exercises import ExerciseView
from grader.reports.html import TEMPLATES, open_templates
from grader.reports.page import Page, build_page
from grader.reports.words import visible

__all__ = ["render_fragment", "render_smallest", "render_smallest_text", "render_text"]

# Compiled when this module is imported, so that nobody has to wait for it at the first check.
_PARTS, _FRAGMENT, _SMALLEST = (
    open_templates(TEMPLATES).get_template(f"{name}.html.jinja") for name in ("parts", "check", "smallest")
)


def render_fragment(report: Report) -> str:
    """The report as one `<div>`, which can stand in any page."""
    return _FRAGMENT.render(page=build_page(report), style=_style())


def render_text(report: Report) -> str:
    r"""The report as lines of text, without characters that control a terminal, except `\n`."""
    return "\n".join(visible(line) for line in _lines(build_page(report)))


def render_smallest(report: Report) -> str:
    """The counterexamples of a report as one `<div>`."""
    return _SMALLEST.render(page=build_page(report), without=_without_counterexample(report), style=_style())


def render_smallest_text(report: Report) -> str:
    """The counterexamples of a report as lines of text."""
    page = build_page(report)
    lines = [f"This could not be checked. {page.problem}"] if page.problem else []
    lines += [line for each in page.exercises if each.counterexample for line in lines_of(each.counterexample)]
    return "\n".join(visible(line) for line in (*lines, *_without_counterexample(report)))


def _without_counterexample(report: Report) -> list[str]:
    """For each function without a counterexample, the reason."""
    return [
        result.counterexample.reason
        if result.counterexample
        else f"{result.name} is right: there is nothing to work out."
        if result.passed
        else result.message
        for result in report.exercises
        if result.counterexample is None or result.counterexample.reason
    ]


@functools.cache
def _style() -> Markup:
    return Markup((TEMPLATES / "check.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of the package


def _lines(page: Page) -> Iterator[str]:
    if page.problem:
        yield f"This could not be checked. {page.problem}"
    if len(page.exercises) > 1:
        yield " ".join(page.summary)
    if page.chain:
        yield page.chain.summary
        width = max((len(link.name) for link in page.chain.links), default=0)
        for link in page.chain.links:
            yield f"  {link.verdict.symbol} {link.name:{width}}  {link.verdict.word}"
        if page.chain.plot:
            yield " ".join(page.chain.plot.description)
    for exercise in page.exercises:
        if not page.chain or exercise.verdict.kind == "wrong":
            yield from _exercise(exercise)


def _exercise(exercise: ExerciseView) -> Iterator[str]:
    yield f"{exercise.verdict.symbol} {exercise.name}: {exercise.verdict.word}"
    yield f"  {exercise.message} {exercise.because}".rstrip()
    of = f"{exercise.facts_of}, " if exercise.facts_of else ""
    for fact in exercise.facts:
        yield f"  {of}{fact.name}: expected {fact.expected}, yours {fact.got}{'' if fact.agrees else '  ✗ differs'}"
    for diagnosis in exercise.diagnoses[:1]:
        yield f"  {diagnosis.message}"
        if diagnosis.hint:
            yield f"  To think about: {diagnosis.hint}"
    if exercise.error:
        if not exercise.error.is_quoted:
            yield f"  {exercise.error.type}: {exercise.error.message}".rstrip()
        if not exercise.error.is_placed:
            yield f"  {exercise.error.where}"
        yield from (f"  {line}" for line in exercise.error.traceback.split("\n") if line)
    yield from (f"  By the way: {notice}" for notice in exercise.notices)
    for gallery in exercise.galleries:
        if gallery.words:
            yield f"  {gallery.part}: {' '.join(gallery.words)}"
    if exercise.counterexample:
        yield f"  Work one by hand: check.smallest({exercise.name}) shows small numbers on which it is wrong."
