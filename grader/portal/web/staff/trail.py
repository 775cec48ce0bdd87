"""
The audit trail, and receipts that somebody shows.
"""

from __future__ import annotations

import dataclasses

from starlette.datastructures import FormData
from starlette.responses import Response

from grader.portal.attempts import Attempt, attempts_of
from grader.portal.audit import acts
from grader.portal.people import people
from grader.portal.receipts import fields_of, verify
from grader.portal.web.staff.forms import field, said
from grader.portal.web.visit import Visit

__all__ = ["audit", "check_receipt", "receipts"]

PER_PAGE = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """
    What became of a receipt.

    Attributes:
        fields: What it says, if it is genuine.
        attempt: The attempt that it is about; None if there is none.
    """

    is_genuine: bool
    fields: dict[str, str]
    attempt: Attempt | None


def audit(visit: Visit) -> Response:
    """Who did what, the newest first."""
    text = visit.request.query_params.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    with visit.portal.begin() as connection:
        lines = acts(connection, most=PER_PAGE + 1, before=before)
    older = lines[PER_PAGE - 1][0] if len(lines) > PER_PAGE else None
    return visit.render("staff/audit.html.jinja", lines=lines[:PER_PAGE], before=before, older=older, said=said(visit))


def receipts(visit: Visit) -> Response:
    """A form for a receipt."""
    return visit.render("staff/receipts.html.jinja", checked=None, text="")


def check_receipt(visit: Visit, form: FormData) -> Response:
    """Whether a receipt is genuine, and which attempt it is about."""
    text = field(form, "receipt")
    is_genuine = verify(text, visit.portal.secret)
    fields = fields_of(text) if is_genuine else {}
    attempt = None
    if is_genuine:
        with visit.portal.begin() as connection:
            owner = next((each for each in people(connection) if each.student == fields["student"]), None)
            theirs = attempts_of(connection, assignment=fields["assignment"], person=owner.id) if owner else []
        attempt = next((each for each in theirs if str(each.number) == fields["attempt"]), None)
    return visit.render("staff/receipts.html.jinja", checked=Checked(is_genuine, fields, attempt), text=text)
