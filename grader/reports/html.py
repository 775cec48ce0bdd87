"""
The HTML page: first a `Report` as plain data for people (`build_page`), then markup (`templates/`).

A page is one file that asks nothing of the network, runs no script, and keeps to a Content-Security-Policy under which
it could not. All that reaches the markup is escaped by jinja; before that, characters that would hide, reorder or
control are made visible, whoever wrote them.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup
from pygments.lexers.python import PythonLexer
from pygments.token import Token, _TokenType

from grader import __version__
from grader.model import (
    CallError,
    CaseResult,
    Chain,
    Code,
    Diagnosis,
    ExerciseResult,
    Flag,
    Outcome,
    Report,
)
from grader.reports.pictures import Gallery, picture_view
from grader.reports.svg import CurvePlot, number, plot_curve

__all__ = ["VERDICTS", "Page", "Verdict", "build_page", "render_html", "visible"]

TEMPLATES = Path(__file__).parent / "templates"
MAX_SENTENCE, MAX_TRACEBACK, MAX_QUESTION = 600, 4_000, 3_000
MAX_CODE, MAX_CODE_LINES = 8_000, 160
MAX_ITEMS = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome for people, in three ways at once: a symbol, a word and a colour (`kind`)."""

    symbol: str
    word: str
    kind: str


VERDICTS = {
    Outcome.MATCH: Verdict("✓", "Right", "right"),
    Outcome.MISMATCH: Verdict("✗", "Wrong values", "wrong"),
    Outcome.WRONG_SHAPE: Verdict("✗", "Wrong shape", "wrong"),
    Outcome.WRONG_DTYPE: Verdict("✗", "Wrong dtype", "wrong"),
    Outcome.WRONG_TYPE: Verdict("✗", "Wrong type", "wrong"),
    Outcome.NOT_FINITE: Verdict("✗", "Not finite", "wrong"),
    Outcome.RAISED: Verdict("!", "Raised an error", "wrong"),
    Outcome.SYNTAX_ERROR: Verdict("!", "Syntax error", "wrong"),
    Outcome.TIMED_OUT: Verdict("!", "Timed out", "wrong"),
    Outcome.OUT_OF_MEMORY: Verdict("!", "Out of memory", "wrong"),
    Outcome.CRASHED: Verdict("!", "Crashed", "wrong"),
    Outcome.FORBIDDEN: Verdict("⊘", "Not allowed", "wrong"),
    Outcome.MISSING: Verdict("○", "Missing", "open"),
    Outcome.BLANK: Verdict("○", "Blank", "open"),
    Outcome.SKIPPED: Verdict("?", "Not graded", "unknown"),
    Outcome.GRADER_ERROR: Verdict("?", "Not graded", "unknown"),
}

LINKS = {
    "right": Verdict("✓", "Right", "right"),
    "inherits": Verdict("↳", "Right by itself, inherits", "open"),
    "wrong": Verdict("✗", "Wrong by itself", "wrong"),
    "unreached": Verdict("–", "Not reached", "unknown"),
    "undecided": Verdict("?", "Not graded", "unknown"),
}

CASES = {
    "mnist": "A batch of MNIST digits that you can look at, with the true upstream gradients.",
    "mnist_hidden": "Another batch of digits, of another size: numbers and variables of the notebook do not fit it.",
    "vjp": "Random upstream gradients and a third batch size: whoever ignores what comes from above goes wrong.",
    "linear": "A second set of upstream gradients: the result has to be linear in them.",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodeLine:
    """One line of source: coloured pieces as (class, text), and whether the error happened here."""

    number: int
    pieces: tuple[tuple[str, str], ...]
    hit: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodeView:
    """A function as it stands in the notebook; `more` lines were left out."""

    cell: int
    lines: tuple[CodeLine, ...]
    more: int


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
class ExerciseView:
    """One exercise on the page."""

    anchor: str
    name: str
    verdict: Verdict
    right: bool
    ours: bool
    points: str
    message: str
    diagnoses: tuple[Diagnosis, ...]
    notices: tuple[str, ...]
    error: ErrorView | None
    code: CodeView | None
    facts: tuple[Fact, ...]
    worst: tuple[str, str, str] | None
    wrong_share: str
    cases: tuple[CaseRow, ...]
    galleries: tuple[Gallery, ...]
    question: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainLink:
    """One function within the whole backward pass."""

    name: str
    anchor: str
    verdict: Verdict


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """The whole backward pass."""

    links: tuple[ChainLink, ...]
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
    exercises: tuple[ExerciseView, ...]
    chain: ChainView | None
    flags: tuple[Flag, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    layers: tuple[str, ...]


def render_html(report: Report) -> str:
    """
    The report as one self-contained page. The same report gives the same page, byte for byte.

    >>> render_html(report).startswith("<!doctype html>")  # doctest: +SKIP
    True
    """
    style, policy = _style()
    template = _environment().get_template("report.html.jinja")
    return template.render(page=build_page(report), style=style, policy=policy)


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
        ("Notebook", notebook + (f"; the first error: {_clip(first_error)}" if first_error else "; none raised")),
        ("Graded by", f"grader {__version__}"),
    ]
    anchors = _anchors(report.exercises)
    exercises = tuple(_exercise(result, anchors[result.name]) for result in report.exercises)
    return Page(
        title=_clip(report.assignment_title or report.assignment_id, 200),
        submission=_clip(report.submission.name, 200),
        score=f"{report.score:g}" if report.max_score else "–",
        max_score=f"{report.max_score:g}" if report.max_score else "–",
        summary=() if problem else tuple(_summary(report.exercises)),
        problem=_clip(problem) if problem else None,
        exercises=() if problem else exercises,
        chain=_chain(report.chain, report.exercises, anchors) if report.chain and not problem else None,
        flags=tuple(dataclasses.replace(flag, evidence=_clip(flag.evidence)) for flag in report.flags[:MAX_ITEMS]),
        facts=tuple((name, _clip(value)) for name, value in facts if problem is None or name != "Notebook"),
        notes=tuple(_clip(note) for note in report.notes[:MAX_ITEMS]),
        layers=report.sandbox_layers[:MAX_ITEMS],
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
        yield f"Rethink: {_clip(', '.join(by_kind['wrong']))}."
    if by_kind["open"]:
        yield f"Still to do: {_clip(', '.join(by_kind['open']))}."
    if by_kind["unknown"]:
        yield f"Could not be graded, at no cost to you: {_clip(', '.join(by_kind['unknown']))}."


def _anchors(results: Sequence[ExerciseResult]) -> dict[str, str]:
    """An id for each exercise: its name, if that is one, else its number."""
    plain = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
    return {
        result.name: f"exercise-{result.name if plain.fullmatch(result.name) else place}"
        for place, result in enumerate(results, start=1)
    }


def _exercise(result: ExerciseResult, anchor: str) -> ExerciseView:
    right = result.passed is True
    # Where an exception stopped everything, the public case has nothing to compare.
    public = next((case for case in result.cases if case.public and case.outcome is not Outcome.MATCH), None)
    return ExerciseView(
        anchor=anchor,
        name=_clip(result.name, 120),
        verdict=VERDICTS[result.outcome],
        right=right,
        ours=result.passed is None,
        points="not counted" if result.passed is None else f"{result.points:g} / {result.max_points:g}",
        message=_clip(result.message),
        diagnoses=tuple(
            Diagnosis(id=diagnosis.id, message=_clip(diagnosis.message), hint=_clip(diagnosis.hint))
            for diagnosis in result.diagnoses[:MAX_ITEMS]
        ),
        notices=tuple(_clip(notice.message) for notice in result.notices[:MAX_ITEMS]),
        error=_error(result.error) if result.error else None,
        code=_code(result.code, result.error) if result.code else None,
        facts=_facts(public or next((case for case in result.cases if _shape_matters(case)), None)),
        worst=_worst(public),
        wrong_share=_wrong_share(public),
        cases=tuple(_case(case) for case in result.cases[:MAX_ITEMS]),
        galleries=tuple(
            picture_view(view, right=right, tolerance=_tolerance(result.cases, view.target))
            for view in result.views
            if view.got.size or not right
        ),
        question=_clip(result.question.strip(), MAX_QUESTION),
    )


def _error(error: CallError) -> ErrorView:
    where = ""
    if error.line is not None:
        where = f"line {error.line}" if error.cell is None else f"In [{error.cell}], line {error.line}"
    return ErrorView(
        type=_clip(error.type, 120),
        message=_clip(error.message, MAX_SENTENCE),
        where=where,
        traceback=_clip(error.traceback.rstrip(), MAX_TRACEBACK),
    )


def _shape_matters(case: CaseResult) -> bool:
    return case.outcome in (Outcome.WRONG_SHAPE, Outcome.WRONG_DTYPE)


def _facts(case: CaseResult | None) -> tuple[Fact, ...]:
    if case is None or (case.shape is None and case.dtype is None):
        return ()
    facts = [
        Fact(
            name=name,
            expected=_clip(str(expected), 80) if expected is not None else "–",
            got=_clip(str(got), 80) if got is not None else "–",
            # float64 where float32 was given is accepted: only the outcome says that a dtype is wrong.
            agrees=expected is None or got == expected or (name == "dtype" and case.outcome is not Outcome.WRONG_DTYPE),
        )
        for name, expected, got in (
            ("shape", case.expected_shape, case.shape),
            ("dtype", case.expected_dtype, case.dtype),
        )
    ]
    return tuple(facts)


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
        name=_clip(case.name, 80),
        what=CASES.get(case.name, ""),
        public=case.public,
        verdict=VERDICTS[case.outcome],
        absolute="–" if case.max_abs_error is None else number(case.max_abs_error),
        relative="–" if case.max_rel_error is None else f"{number(100 * case.max_rel_error)} %",
        tolerance="–" if case.tolerance is None else number(case.tolerance),
    )


def _tolerance(cases: Sequence[CaseResult], target: str) -> float | None:
    return next((case.tolerance for case in cases if case.public and case.target in (None, target)), None)


def _chain(chain: Chain, results: Sequence[ExerciseResult], anchors: dict[str, str]) -> ChainView:
    own = {result.name: result for result in results}
    links = tuple(
        ChainLink(name=_clip(name, 120), anchor=anchors[name], verdict=LINKS[_link(own[name].passed, outcome)])
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
    return ChainView(
        links=links,
        summary=summary,
        message=_clip(chain.message),
        plot=plot_curve(chain.training) if chain.training else None,
    )


def _link(own: bool | None, within: Outcome) -> str:
    if own is None:
        return "undecided"
    if own is False:
        return "wrong"
    return {Outcome.MATCH: "right", Outcome.SKIPPED: "unreached"}.get(within, "inherits")


# -------------------------------------------------------------------------------------------------- text and source

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe"
    "\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """
    Replace characters that control, reorder or hide by ones that can be seen; tabs and newlines stay.

    >>> visible("a\\x1b[31mb\\u202ec")
    'a␛[31mb⟨U+202E⟩c'
    """
    return _HIDDEN.sub(_shown, text.replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def _clip(text: str, limit: int = MAX_SENTENCE) -> str:
    more = len(text) - limit
    return text if more <= 0 else f"{text[:limit]} … ({more:,} more characters)"


COLOURED = {
    Token.Comment: "c",
    Token.Keyword: "k",
    Token.Operator.Word: "k",
    Token.Literal.String: "s",
    Token.Literal.Number: "m",
    Token.Name.Function: "f",
    Token.Name.Class: "f",
    Token.Name.Decorator: "f",
    Token.Name.Builtin: "b",
    Token.Name.Exception: "b",
}


@functools.cache
def _lexer() -> PythonLexer:
    return PythonLexer(stripnl=False, ensurenl=False)


@functools.cache
def _colour(kind: _TokenType) -> str:
    return next((name for group, name in COLOURED.items() if kind in group), "")


def _code(code: Code, error: CallError | None) -> CodeView:
    source = visible(code.source).rstrip("\n")
    lines: list[list[tuple[str, str]]] = [[]]
    shown = "\n".join(source[:MAX_CODE].split("\n")[:MAX_CODE_LINES])
    for kind, text in _lexer().get_tokens(shown):
        name = _colour(kind)
        for place, part in enumerate(text.split("\n")):
            if place:
                lines.append([])
            if part and lines[-1] and lines[-1][-1][0] == name:
                lines[-1][-1] = (name, lines[-1][-1][1] + part)
            elif part:
                lines[-1].append((name, part))
    hit = error.line if error is not None and error.cell == code.cell else None
    return CodeView(
        cell=code.cell,
        lines=tuple(
            CodeLine(number=place, pieces=tuple(pieces), hit=place == hit)
            for place, pieces in enumerate(lines, start=code.line)
        ),
        more=len(source) - len(shown),
    )


# ------------------------------------------------------------------------------------------------------- templates


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _finalize(value: object) -> object:
    """Whatever a template prints passes through here before it is escaped."""
    return value if isinstance(value, Markup) else visible(str(value))


@functools.cache
def _style() -> tuple[Markup, str]:
    """The style sheet, and the policy that allows it and nothing else."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return Markup(style), policy  # noqa: S704 -- ours, from a file of the package
