"""
The class at a glance as `grader batch` shows it, and everything about a class as an archive.
"""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse

from grader.classroom.overview import build_overview
from grader.classroom.page import overview_policy, render_overview
from grader.portal.audit import note
from grader.portal.bundle import bundle, entries_of, nothing_from
from grader.portal.classbook import places_of
from grader.portal.web.staff.forms import attached, offered
from grader.portal.web.visit import Visit
from grader.version import __version__

__all__ = ["download", "overview"]


def overview(visit: Visit) -> Response:
    """The class at a glance, from the attempts that count."""
    served = offered(visit)
    with visit.portal.begin() as connection:
        places = places_of(connection, served)
        keys = (place.shown.result for place in places if place.shown is not None)
        readings = visit.portal.readings.of(connection, keys)
    entries = tuple(entry for _, entry in entries_of(places, readings, served))
    facts = (
        ("Assignment", f"{served.id}, version {served.assignment.version}"),
        ("Graded by", f"grader {__version__}"),
    )
    unit = "points on average" + (", before what lateness costs" if served.offer.late.percent_per_day else "")
    page = build_overview(entries, nothing_from(places), title=served.title, facts=facts, unit=unit)
    text = render_overview(page, back=f"/class/{served.id}")
    headers = {"content-security-policy": f"{overview_policy()}; frame-ancestors {visit.ancestors}"}
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)


def download(visit: Visit) -> Response:
    """The archive: the gradebook, the marks, every submission and every report."""
    served = offered(visit)
    with visit.portal.begin() as connection:
        places = places_of(connection, served)
        keys = (place.shown.result for place in places if place.shown is not None)
        readings = visit.portal.readings.of(connection, keys)
        note(connection, by=visit.staff.student, what="download", about=served.id, now=visit.now)
    pieces = bundle(visit.portal.gradebook, served, places, readings)
    return StreamingResponse(pieces, headers=attached(f"{served.id}.zip", "application/zip"))
