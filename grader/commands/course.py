"""
`grader course`: the folder of a course that `grader serve` serves.
"""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import click

from grader.commands.options import EXIT_FULL_MARKS, debug_option, each, login_name, say, say_what_is_replaced

__all__ = ["course"]


def _require() -> None:
    from grader.portal.installed import require_for_portal

    require_for_portal("`grader course`")


def _check_course(folder: Path) -> None:
    """Check the course's file before anything is imported that other commands on a course need."""
    _require()
    from grader.portal.course import open_course

    open_course(folder)


_course_folder = click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), callback=each(_check_course)
)


@click.group()
def course() -> None:
    """Write, check, and hand out the links of a course for `grader serve`."""


@course.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--title", default="Gradients by hand", show_default=True)
@click.option("--staff", help="The id of the instructor in the roster. [default: your login]")
@click.option("--solutions", type=click.Path(path_type=Path), help="Your source notebooks. [default: the grader's]")
@debug_option
def new(folder: Path, title: str, staff: str | None, solutions: Path | None) -> int:
    """Write the files of a new course into FOLDER."""
    _require()
    from grader.portal.new import write_course

    for path in write_course(folder, title=title, staff=staff or getpass.getuser(), solutions=solutions):
        say(f"  {path}")
    say("Change them, and then run `grader course check`, `grader course links` and `grader serve` with this folder.")
    return EXIT_FULL_MARKS


@course.command()
@_course_folder
@debug_option
def check(folder: Path) -> int:
    """Check the course in FOLDER: its file, its roster, its assignments, its database."""
    from grader.portal.people import people
    from grader.portal.portal import open_portal

    with open_portal(folder) as portal:
        with portal.begin() as connection:
            everybody = people(connection, only_active=True)
        staff = sum(person.is_staff for person in everybody)
        for served in portal.served.values():
            due = f"due {served.offer.due.isoformat()}" if served.offer.due else "no due date"
            count = len(served.assignment.exercises)
            exercises = f"{count} exercise" + "s" * (count != 1)
            say(f"  {served.id}: {exercises}, {served.max_points:g} points, {due}")
        say_what_is_replaced(portal.course.sources(folder).values())
        say(f"  People: {len(everybody) - staff} students, {staff} staff.")
        if not staff:
            say("  There are no staff yet: add a line with the role `staff` to the roster.")
    return EXIT_FULL_MARKS


@course.command()
@_course_folder
@click.argument("students", nargs=-1)
@click.option("--staff", "is_staff", is_flag=True, help="For all staff.")
@click.option("--all", "is_all", is_flag=True, help="For all students.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="How long the links work.")
@click.option("--address", help="The portal's address. [default: `address` in course.toml, or this machine]")
@debug_option
def links(folder: Path, students: tuple[str, ...], is_staff: bool, is_all: bool, days: int, address: str | None) -> int:
    """
    Make personal links for signing in, and print them as CSV: student, name, email, link.

    STUDENTS are ids of the roster. Each link works once, and replaces earlier ones that were not used. Send each
    person only their own.
    """
    import csv
    import datetime as dt
    import sys

    from grader.errors import UsageError
    from grader.portal.access import make_link
    from grader.portal.people import people
    from grader.portal.portal import open_portal

    with open_portal(folder) as portal, portal.begin() as connection:
        everybody = people(connection, only_active=True)
        unknown = set(students) - {person.student for person in everybody}
        if unknown:
            raise UsageError(f"There is no {sorted(unknown)[0]!r} in the roster.", "Use the ids of the roster.")
        chosen = [
            person
            for person in everybody
            if person.student in students or (is_staff and person.is_staff) or (is_all and not person.is_staff)
        ]
        if not chosen and (is_all or is_staff):
            missing = " and ".join(["students"] * is_all + ["staff"] * is_staff)
            raise UsageError(f"The roster has no {missing}.", "Write them into it, or name others.")
        if not chosen:
            raise UsageError("Nobody is named.", "Name ids of the roster, or use --all or --staff.")
        base = (address or portal.course.address or "http://127.0.0.1:8642").rstrip("/")
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(["student", "name", "email", "link"])
        for person in chosen:
            lasts = dt.timedelta(days=days)
            secret = make_link(connection, person, by=login_name(), now=portal.clock(), lasts=lasts)
            table.writerow([person.student, person.name, person.email, f"{base}/sign-in/{secret}"])
    return EXIT_FULL_MARKS


@course.command()
@_course_folder
@click.argument("archive", type=click.Path(path_type=Path, dir_okay=False))
@debug_option
def backup(folder: Path, archive: Path) -> int:
    """
    Copy the course in FOLDER into the zip file ARCHIVE, also while it is served.

    To restore it, unpack the file into an empty folder and serve that.
    """
    from grader.portal.backup import back_up, sources_elsewhere

    say(f"  {archive}: {', '.join(back_up(folder, archive))}")
    elsewhere = sources_elsewhere(folder)
    if elsewhere is not None:
        say(f"The source notebooks are not in it. Copy {elsewhere}, too.")
    return EXIT_FULL_MARKS


@course.command()
@debug_option
def schema() -> int:
    """Print the JSON schema of course.toml, for editors."""
    _require()
    from grader.portal.course import course_schema

    click.echo(json.dumps(course_schema(), indent=1))
    return EXIT_FULL_MARKS
