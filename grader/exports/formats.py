"""
The formats that reports can be exported in. Nothing heavy is imported here: the command line lists them in its help.
"""

from __future__ import annotations

import enum

__all__ = ["OF_MARKS", "Format"]


class Format(enum.Enum):
    """A format, by the name that the command line knows it by."""

    JUNIT = "junit"
    GRADESCOPE = "gradescope"
    GITHUB = "github"
    MARKDOWN = "markdown"
    CLASSROOM = "classroom"
    GITLAB = "gitlab"
    CANVAS = "canvas"
    MOODLE = "moodle"
    CSV = "csv"


OF_MARKS = frozenset({Format.CANVAS, Format.CSV, Format.GRADESCOPE, Format.MOODLE})
"""Formats for instructors, which are about marks: students do not see them, or no more of them than they may."""
