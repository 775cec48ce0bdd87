"""
What a notebook shows of a hand-in, as HTML and as text.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jinja2
from markupsafe import Markup

from grader.errors import GraderError
from grader.reports.html import TEMPLATES, open_templates
from grader.reports.words import clip, visible
from grader.submitting import words
from grader.submitting.progress import Progress

__all__ = ["Row", "Submitted"]

LINE_LIMIT = 300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An exercise: its `kind` is `right`, `wrong`, `open` or `unknown`."""

    kind: str
    symbol: str
    name: str
    verdict: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """
    How a hand-in stands.

    Attributes:
        kind: `working` as long as it changes, then `done`, or `failed`.
        lead: What became of the file.
        rows: The exercises, if there is a result.
        closing: Where it is in the queue, the result in a sentence, or what to do now.
        page: The address of the attempt's page; empty if nothing was handed in.
    """

    kind: str
    lead: str
    rows: tuple[Row, ...] = ()
    closing: str = ""
    page: str = ""
    receipt: str = ""

    @staticmethod
    def of(progress: Progress, page: str, *, first: Progress, note: str = "") -> Submitted:
        """
        An attempt that has been handed in.

        Args:
            first: How it stood then.
            note: Replaces where it is in the queue, if nobody waits for it any longer.
        """
        is_done = progress.is_done and not progress.receipt
        waiting = note or words.whereabouts(progress) if not progress.is_done else note
        return Submitted(
            kind="done" if is_done or note else "working",
            lead=words.handed_in(first),
            rows=tuple(
                Row(
                    kind=each.kind,
                    symbol=words.symbol_of(each),
                    name=each.name,
                    verdict=each.verdict,
                    message=clip(each.message, LINE_LIMIT),
                )
                for each in progress.exercises
            ),
            closing=words.outcome(progress) if is_done else waiting,
            page=page,
            receipt=words.receipt_of(first),
        )

    @staticmethod
    def failed(error: GraderError, *, lead: str = "Nothing was handed in.") -> Submitted:
        """Something went wrong before there was an attempt."""
        return Submitted(kind="failed", lead=lead, closing=visible(str(error)))

    def __repr__(self) -> str:
        rows = [
            f"{row.symbol} {row.name}: {row.verdict}" + (f". {row.message}" if row.message else "") for row in self.rows
        ]
        ends = [f"The report: {self.page}", f"Receipt: {self.receipt}"] if self.page else []
        return "\n".join(visible(line) for line in (self.lead, *rows, self.closing, *ends) if line)

    def _repr_html_(self) -> str:
        return _template().render(shown=self, style=_style())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


@functools.cache
def _template() -> jinja2.Template:
    return open_templates(TEMPLATES).get_template("submitted.html.jinja")


@functools.cache
def _style() -> Markup:
    return Markup((TEMPLATES / "check.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of the package
