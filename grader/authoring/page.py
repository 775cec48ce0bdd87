"""
Renders the results of `grader validate` as a page: one file that loads nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from grader.authoring.validate import Validation
from grader.reports.html import STYLE, TEMPLATES, content_policy, open_templates

__all__ = ["render_validations"]


def render_validations(validations: Sequence[Validation]) -> str:
    """A page with a table for each assignment, its problems, and the mutants that no case catches."""
    style = STYLE.read_text(encoding="utf-8")
    template = open_templates(TEMPLATES).get_template("validate.html.jinja")
    return template.render(
        validations=validations,
        style=Markup(style),  # noqa: S704 - ours, from a file of the package
        policy=content_policy(style),
    )
