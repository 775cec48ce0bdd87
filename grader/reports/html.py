"""
The HTML page: first a `Report` in words (`page.py`), then markup (`templates/`).

A page is one file that asks nothing of the network, runs no script, and keeps to a Content-Security-Policy under which
it could not. All that reaches the markup is escaped by jinja; before that, characters that would hide, reorder or
control are made visible, whoever wrote them.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from grader.model import Report
from grader.reports.page import build_page
from grader.reports.words import visible

__all__ = ["render_html"]

TEMPLATES = Path(__file__).parent / "templates"


def render_html(report: Report) -> str:
    """The report as one self-contained page. The same report gives the same page, byte for byte."""
    style, policy = _style()
    template = _environment().get_template("report.html.jinja")
    return template.render(page=build_page(report), style=style, policy=policy)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _finalize(value: object) -> object:
    """Whatever a template prints passes through here before it is escaped."""
    return value if isinstance(value, Markup) else visible(str(value))


@functools.cache
def _style() -> tuple[Markup, str]:
    """The style sheet, and the policy that allows it and nothing else."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return Markup(style), policy  # noqa: S704 -- ours, from a file of the package
