"""
`grader serve`: a portal where students hand in and read their reports.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.options import (
    EXIT_FULL_MARKS,
    LEVELS,
    debug_option,
    quiet_option,
    say,
)
from grader.errors import UsageError

if TYPE_CHECKING:
    from grader.portal.portal import Portal

__all__ = ["serve"]

DEMO = Path("grader-demo") / "course"
NICENESS = 10
"""By how much grading gives way to the pages, of which a class looks at many while it waits."""


@click.command()
@click.argument("course", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--demo", is_flag=True, help="Serve a course of the shipped assignments with sample students.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The network address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8_642, show_default=True, help="0 for any free one.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Submissions to grade at a time. [default: one per core]")
@click.option("--cluster", metavar="ADDRESS", help="Grade on a Dask cluster: the address of its scheduler.")
@click.option(
    "--require-sandbox",
    "level",
    type=click.Choice(LEVELS),
    help="Refuse to execute anything in a weaker sandbox. [default: `require_sandbox` in course.toml]",
)
@quiet_option
@debug_option
def serve(
    course: Path | None,
    demo: bool,
    host: str,
    port: int,
    jobs: int | None,
    cluster: str | None,
    level: str | None,
    quiet: bool,
) -> int:
    """
    Serve a course: students hand in on its pages, and read their report a moment later.

    COURSE is a folder with a course.toml; `grader course new` writes one. Whatever was handed in is kept, also if the
    server is killed: the next one goes on where it was.
    """
    from grader.portal.installed import require_for_portal

    require_for_portal("`grader serve`")
    from grader.portal.course import open_course

    if demo:
        course = course or DEMO
    elif course is None:
        raise UsageError("There is no course to serve.", "Name its folder, or try --demo.")
    else:
        open_course(course)  # a mistake in it costs no more than reading it

    from grader.classroom.cluster import IN_FLIGHT, cluster_workers
    from grader.classroom.pool import Workers
    from grader.classroom.workers import local_workers
    from grader.execution.kernels import check_sandbox
    from grader.portal import demo as samples
    from grader.portal.serve import serve as run
    from grader.sandbox import Level

    if demo:
        samples.write_demo(course)
    require = Level[(level or open_course(course).require_sandbox).upper()]
    if cluster is not None:
        open_workers = functools.partial(cluster_workers, address=cluster, require=require)
        workers = Workers(open=open_workers, jobs=jobs or IN_FLIGHT, require=require)
    else:
        check_sandbox(require)
        open_workers = functools.partial(local_workers, niceness=NICENESS)
        workers = Workers(open=open_workers, jobs=jobs or os.cpu_count() or 1, require=require)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)

    def ready(portal: Portal, address: str) -> None:
        if demo:
            samples.fill_demo(portal)
            _say_links(portal, address)
        if not quiet:
            say(f"The portal is at {address}. Press Ctrl-C to stop it.")

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is stopped as properly as by Ctrl-C
    try:
        run(course, workers, host=host, port=port, ready=ready)
    except KeyboardInterrupt:
        say("Stopped. What waits in the queue is graded the next time.")
    return EXIT_FULL_MARKS


def _say_links(portal: Portal, address: str) -> None:
    from grader.portal.access import make_link
    from grader.portal.demo import STAFF, STUDENT
    from grader.portal.people import find_student

    with portal.begin() as connection:
        for student, who in ((STUDENT, "As a student"), (STAFF, "As an instructor")):
            person = find_student(connection, student)
            assert person is not None
            secret = make_link(connection, person, by="demo", now=portal.clock())
            say(f"  {who}: {address}/sign-in/{secret}")
    say("Each link works once. Open the two in different browsers, or one of them in a private window.")
