"""
The pages that belong to the protocol. Each loads nothing, runs no script but ours, and sends forms to one address only.
"""

from __future__ import annotations

import functools
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from starlette.responses import HTMLResponse

__all__ = ["form_target", "show"]

TEMPLATES = Path(__file__).parent / "templates"


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def form_target(address: str) -> str:
    """An address as Content-Security-Policy names it: without a query, and without what separates its parts."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{quote(parts.path, safe='/%:@!$&()*+=~-._')}"


def show(name: str, *, status: int = 200, form_action: str = "'none'", **values: Any) -> HTMLResponse:
    """
    A page.

    Args:
        name: The template's.
        status: The HTTP status.
        form_action: Where its form may go, in the words of Content-Security-Policy.
        values: For the template.
    """
    nonce = secrets.token_urlsafe(16)
    text = _templates().get_template(f"{name}.html.jinja").render(nonce=nonce, **values)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; base-uri 'none'; "
        f"form-action {form_action}; frame-ancestors https:"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",  # not less: forms to ourselves must say where they come from
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(text, status_code=status, headers=headers)
