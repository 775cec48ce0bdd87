"""
Renders reports in any of the formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from grader.errors import UsageError
from grader.exports.classroom50 import render_classroom50
from grader.exports.formats import OF_MARKS, Format
from grader.exports.github import render_annotations
from grader.exports.gitlab import render_code_quality
from grader.exports.gradebooks import render_canvas, render_moodle
from grader.exports.gradescope import render_gradescope
from grader.exports.junit import render_junit
from grader.exports.markdown import render_markdown
from grader.exports.table import render_csv
from grader.exports.words import Harmless, harmless, line
from grader.reports.reading import ReadReport

__all__ = ["RENDERERS", "render"]


def _single(form: Format, render_one: Callable[[Harmless], str]) -> Callable[[Sequence[Harmless]], str]:
    def render_only(reports: Sequence[Harmless]) -> str:
        if len(reports) != 1:
            raise UsageError(f"{form.value} takes one report, not {len(reports)}.", "Export them one by one.")
        return render_one(reports[0])

    return render_only


RENDERERS: Mapping[Format, Callable[[Sequence[Harmless]], str]] = {
    Format.JUNIT: render_junit,
    Format.GRADESCOPE: _single(Format.GRADESCOPE, render_gradescope),
    Format.GITHUB: render_annotations,
    Format.MARKDOWN: render_markdown,
    Format.CLASSROOM50: _single(Format.CLASSROOM50, render_classroom50),
    Format.GITLAB: render_code_quality,
    Format.CANVAS: render_canvas,
    Format.MOODLE: render_moodle,
    Format.CSV: render_csv,
}


def render(reports: Sequence[ReadReport], form: Format) -> str:
    """
    Render reports in a format. Text of students' is only text there, whatever it says.

    Raises:
        UsageError: The format cannot contain these reports; or a complete report would go where students see it too
            early; or the format needs marks, and a report is a student's copy without marks.
    """
    harmless_reports = [harmless(report) for report in reports]
    for report in harmless_reports:
        if not report.is_for_students and form not in OF_MARKS:
            raise UsageError(
                f"Students see less of the report of {line(report.student)} until {report.release}.",
                "Export the student's copy, beside the folder `withheld`.",
            )
        if not report.gives_marks and form in OF_MARKS:
            raise UsageError(
                f"The report of {line(report.student)} has no marks until {report.release}.",
                "Export the complete report in the folder `withheld`.",
            )
    return RENDERERS[form](harmless_reports)
