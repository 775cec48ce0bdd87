"""
Writes reports into a folder; a file is written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from grader.errors import UsageError
from grader.files import write_atomically
from grader.model import Report
from grader.reports.html import render_html
from grader.reports.json import render_json

__all__ = ["RENDERERS", "write_reports"]

RENDERERS: dict[str, Callable[[Report], str]] = {"html": render_html, "json": render_json}


def write_reports(report: Report, directory: Path, formats: Sequence[str]) -> list[Path]:
    """
    Write a report as `<stem>.<format>`, with the stem of the submitted file, and return the paths.

    Raises:
        UsageError: The reports cannot be written there.
    """
    stem = Path(report.submission.name).stem
    paths = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(formats):
            path = directory / f"{stem}.{name}"
            write_atomically(path, RENDERERS[name](report))
            paths.append(path)
    except OSError as error:
        raise UsageError(
            f"The reports cannot be written to {directory} ({error.strerror}).", "Name another folder with -o."
        ) from error
    return paths
