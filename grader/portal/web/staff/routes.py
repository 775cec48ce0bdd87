"""
The addresses of the instructor's pages.
"""

from __future__ import annotations

from starlette.routing import Route

from grader.portal.web.paths import register_paths
from grader.portal.web.staff import classes, files, person, roster, trail
from grader.portal.web.staff.forms import pages, posts

__all__ = ["routes"]

MISTAKE = "/class/{assignment}/mistakes/{exercise}/{fingerprint}"

register_paths()
routes = [
    Route("/class", pages(classes.classes)),
    Route("/class", posts(classes.act_on_sources), methods=["POST"]),
    Route("/class/{assignment}", pages(classes.one_class)),
    Route("/class/{assignment}", posts(classes.act), methods=["POST"]),
    Route("/class/{assignment}/overview", pages(files.overview)),
    Route("/class/{assignment}/download", pages(files.download)),
    Route("/class/{assignment}/{person:number}", pages(person.student)),
    Route("/class/{assignment}/{person:number}", posts(person.act), methods=["POST"]),
    Route(MISTAKE, pages(classes.mistake)),
    Route(MISTAKE, posts(classes.act_on_mistake), methods=["POST"]),
    Route("/roster", pages(roster.roster)),
    Route("/roster", posts(roster.act, files=1), methods=["POST"]),
    Route("/roster/{person:number}", pages(roster.person)),
    Route("/roster/{person:number}", posts(roster.act_on_person), methods=["POST"]),
    Route("/audit", pages(trail.audit)),
    Route("/receipts", pages(trail.receipts)),
    Route("/receipts", posts(trail.check_receipt), methods=["POST"]),
]
