"""
The HTML page: `page.py` puts a `Report` into words, and the templates turn these into markup.

A page is one file that loads nothing and runs no script; its Content-Security-Policy forbids both. Jinja escapes all
text that it prints. Before that, characters that hide, reorder or control text are made visible.
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
    """Compile the templates and the patterns now, so that the first page does not have to wait for them."""
    _style()
    templates = open_templates(TEMPLATES)
    for name in templates.list_templates(extensions=["jinja"]):
        templates.get_template(name)
    warm_up()


def render_frame(page: str, *, title: str) -> str:
    """
    A page that shows an untrusted page in a frame, where that page can neither run scripts nor load anything.

    The only script is ours: it makes the frame as high as the page is, to print all of it.
    """
    inside = f'<!doctype html><base href="about:srcdoc">{page}'  # links within the page stay in the frame
    script = (TEMPLATES / "frame.js").read_text(encoding="utf-8")
    return (
        open_templates(TEMPLATES)
        .get_template("frame.html.jinja")
        .render(page=inside, title=title, digest=Markup(_digest(script)), script=Markup(script))  # noqa: S704 - ours
    )


@functools.cache
def open_templates(*folders: Path) -> jinja2.Environment:
    """Templates that make hidden characters visible and then escape all text that they print."""
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
    """A Content-Security-Policy that allows this style sheet, this script, pictures within the page, and no more."""
    scripts = f"script-src {_digest(script)}; " if script else ""
    return (
        f"default-src 'none'; {scripts}img-src data:; style-src {_digest(style)}; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _finalize(value: object) -> object:
    """Make a value printable: templates pass every value through here before they escape it."""
    return value if isinstance(value, Markup) else visible(str(value))


@functools.cache
def _style() -> tuple[Markup, str]:
    """The style sheet, and a policy that allows this style sheet and no other."""
    style = STYLE.read_text(encoding="utf-8")
    return Markup(style), content_policy(style)  # noqa: S704 - a file of the package
