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
from grader.exports.table import render_csv
from grader.reports.reading import Result

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

FOR_INSTRUCTORS = ("canvas", "csv", "gradescope", "moodle")
"""What students do not see, or no more of it than they may."""
OF_MARKS = ("canvas", "csv", "gradescope", "moodle")


def render(results: Sequence[Result], name: str) -> str:
    """
    Reports in a format.

    Raises:
        UsageError: The format cannot hold them; or students would see in it what they may not see yet; or it is about
            marks, and there are none in a student's copy.
    """
    for result in results:
        if not result.is_for_students and name not in FOR_INSTRUCTORS:
            raise UsageError(
                f"Students see less of the report of {result.student} until {result.release}.",
                "Export their copy, which is beside the folder `withheld`.",
            )
        if not result.gives_marks and name in OF_MARKS:
            raise UsageError(
                f"The report of {result.student} has no marks until {result.release}.",
                "Export the instructor's, from the folder `withheld`.",
            )
    return FORMATS[name](results)
