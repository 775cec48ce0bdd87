"""
The formats that reports can be exported in. The command line's help lists them, so nothing heavy is imported here.
"""

from __future__ import annotations

import enum

__all__ = ["OF_MARKS", "Format"]


class Format(enum.Enum):
    """A format; its value is its name on the command line."""

    JUNIT = "junit"
    GRADESCOPE = "gradescope"
    GITHUB = "github"
    MARKDOWN = "markdown"
    CLASSROOM50 = "classroom50"
    GITLAB = "gitlab"
    CANVAS = "canvas"
    MOODLE = "moodle"
    CSV = "csv"


OF_MARKS = frozenset({Format.CANVAS, Format.CSV, Format.GRADESCOPE, Format.MOODLE})
"""Formats that contain marks. They are for instructors, and need reports with marks."""
