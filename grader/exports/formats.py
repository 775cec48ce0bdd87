"""
The formats by name, and what each of them takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from grader.errors import UsageError
from grader.exports.classroom import render_classroom
from grader.exports.github import render_annotations
from grader.exports.gitlab import render_code_quality
from grader.exports.gradebooks import render_canvas, render_moodle
from grader.exports.gradescope import render_gradescope
from grader.exports.junit import render_junit
from grader.exports.markdown import render_markdown
from grader.exports.result import Result
from grader.exports.table import render_csv

__all__ = ["FORMATS", "render"]


def _single(name: str, one: Callable[[Result], str]) -> Callable[[Sequence[Result]], str]:
    def rendered(results: Sequence[Result]) -> str:
        if len(results) != 1:
            raise UsageError(f"{name} takes one report, not {len(results)}.", "Export them one by one.")
        return one(results[0])

    return rendered


FORMATS: Mapping[str, Callable[[Sequence[Result]], str]] = {
    "junit": render_junit,
    "gradescope": _single("gradescope", render_gradescope),
    "github": render_annotations,
    "markdown": render_markdown,
    "classroom": _single("classroom", render_classroom),
    "gitlab": render_code_quality,
    "canvas": render_canvas,
    "moodle": render_moodle,
    "csv": render_csv,
}


def render(results: Sequence[Result], name: str) -> str:
    """Reports in a format. Raises UsageError where the format cannot hold them."""
    return FORMATS[name](results)
