"""
Grades a class: reads what course platforms export, grades in parallel, keeps the results, and makes what goes back.
"""

from __future__ import annotations

__all__ = ["PLATFORMS"]

PLATFORMS = ("canvas", "moodle", "gradescope", "nbgrader", "repositories", "plain")
"""Who may have named the files of a class; `plain` is somebody, and each file bears the name of its student."""
