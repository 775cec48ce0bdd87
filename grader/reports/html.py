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
from grader.reports.listing import warm_up
from grader.reports.page import build_page
from grader.reports.words import visible

__all__ = ["STYLE", "TEMPLATES", "content_policy", "open_templates", "prepare", "render_frame", "render_html"]

TEMPLATES = Path(__file__).parent / "templates"
STYLE = TEMPLATES / "report.css"


def render_html(report: Report) -> str:
    """The report as one self-contained page. The same report gives the same page, byte for byte."""
    style, policy = _style()
    template = open_templates(TEMPLATES).get_template("report.html.jinja")
    return template.render(page=build_page(report), style=style, policy=policy)


def prepare() -> None:
    """Do now what the first page would have to wait for."""
    _style()
    templates = open_templates(TEMPLATES)
    for name in templates.list_templates(extensions=["jinja"]):
        templates.get_template(name)
    warm_up()


def render_frame(page: str, *, title: str) -> str:
    """A page that shows another one, which somebody else has made: no script of it runs, and it loads nothing."""
    inside = f'<!doctype html><base href="about:srcdoc">{page}'  # links to a part of the page stay in the frame
    return open_templates(TEMPLATES).get_template("frame.html.jinja").render(page=inside, title=title)


@functools.cache
def open_templates(*folders: Path) -> jinja2.Environment:
    """Templates that escape whatever they print, after making visible what would hide in it."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def content_policy(style: str, script: str = "") -> str:
    """The Content-Security-Policy of a page that may use this style sheet, this script, and nothing else."""
    scripts = f"script-src {_source(script)}; " if script else ""
    return (
        f"default-src 'none'; {scripts}img-src data:; style-src {_source(style)}; base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _finalize(value: object) -> object:
    """Whatever a template prints passes through here before it is escaped."""
    return value if isinstance(value, Markup) else visible(str(value))


@functools.cache
def _style() -> tuple[Markup, str]:
    """The style sheet, and the policy that allows it and nothing else."""
    style = STYLE.read_text(encoding="utf-8")
    return Markup(style), content_policy(style)  # noqa: S704 -- ours, from a file of the package
