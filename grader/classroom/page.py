"""
Renders `index.html`: a single file that loads nothing from the network.

Its only script sorts and filters the table. Without the script, everything can still be read.
"""

from __future__ import annotations

import functools
from pathlib import Path

from markupsafe import Markup

from grader.classroom.overview import Overview
from grader.reports.html import STYLE, content_policy, open_templates
from grader.reports.html import TEMPLATES as REPORTS

__all__ = ["overview_policy", "render_overview"]

TEMPLATES = Path(__file__).parent / "templates"


def render_overview(overview: Overview, *, back: str = "") -> str:
    """
    Render the class at a glance as one self-contained page.

    Args:
        back: The address of the page to go back to, if this one is part of a site.
    """
    style, script, policy = _parts()
    template = open_templates(TEMPLATES, REPORTS).get_template("index.html.jinja")
    return template.render(page=overview, style=style, script=script, policy=policy, back=back)


def overview_policy() -> str:
    """The Content-Security-Policy that the page itself contains."""
    return _parts()[2]


@functools.cache
def _parts() -> tuple[Markup, Markup, str]:
    style = STYLE.read_text(encoding="utf-8") + (TEMPLATES / "index.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "index.js").read_text(encoding="utf-8")
    return Markup(style), Markup(script), content_policy(style, script)  # noqa: S704 -- ours, from files of the package
