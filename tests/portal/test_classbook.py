"""Who is stuck, what a roster would change, and that the roster's file does not undo what the portal knows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from grader.model import Diagnosis, Outcome
from grader.portal.arrangements import Extension
from grader.portal.attempts import Attempt
from grader.portal.classbook import Place, stuck_on
from grader.portal.people import Person, find_student, remove_person
from grader.portal.portal import open_portal
from grader.portal.readings import Reading
from grader.portal.roster import read_roster, scan_roster, write_roster
from grader.reports.reading import Finding, ReadReport
from tests.portal.server import write_course

START = dt.datetime(2026, 11, 2, 9, tzinfo=dt.timezone.utc)
ADA = Person(1, "ada", "Ada", "", is_staff=False, is_active=True)


def attempt(number: int, status: str = "graded") -> Attempt:
    """An attempt that arrived `number` hours after the start."""
    return Attempt(
        id=number,
        person=ADA.id,
        student=ADA.student,
        name=ADA.name,
        assignment="a",
        number=number,
        file="a.ipynb",
        sha256="",
        received_at=START + dt.timedelta(hours=number),
        state="done",
        status=status,
        tries=1,
        started_at=None,
        finished_at=None,
        result=str(number),
        score=1.0 if status == "graded" else None,
        max_score=2.0,
    )


def reading(*mistakes: str) -> Reading:
    """A result with a wrong `f` for each mistake, the first one most likely; or with a right one."""
    diagnoses = tuple(Diagnosis(id=mistake, message=f"It is {mistake}.") for mistake in mistakes)
    outcome = Outcome.MISMATCH if mistakes else Outcome.MATCH
    finding = Finding(name="f", outcome=outcome, points=0, max_points=2, diagnoses=diagnoses)
    return Reading(
        ReadReport(
            assignment_id="a",
            title="",
            version="1",
            submission="",
            student="ada",
            sha256="",
            score=0,
            max_score=2,
            findings=(finding,),
        )
    )


@pytest.mark.parametrize(
    ("results", "run"),
    [
        ([["mask"], ["mask"]], (1, 2)),
        ([["mask"], ["sign"], ["mask"], ["mask"], ["mask"]], (3, 3)),  # since the first of the unbroken run
        ([["mask"], ["mask"], []], None),  # it is right now
        ([["mask"], ["sign"]], None),
        ([["mask"], ["sign", "mask"]], None),  # what it most likely is counts
        ([["mask"], None, ["mask"]], (1, 2)),  # the grader failed in between, which decides nothing
        ([["mask"]], None),
        ([None, None], None),
    ],
)
def test_who_is_stuck(results: list[list[str] | None], run: tuple[int, int] | None) -> None:
    """The newest graded attempt has the mistake that the one before it had."""
    attempts = [
        attempt(number, "graded" if each is not None else "grader_error") for number, each in enumerate(results, 1)
    ]
    readings = {str(number): reading(*each) for number, each in enumerate(results, 1) if each is not None}
    place = Place(person=ADA, attempts=attempts, mark=None, extension=Extension(), is_held=False)

    groups = stuck_on([place], readings)

    found = [(stuck.since, stuck.tries, stuck.attempt.id) for group in groups for stuck in group.students]
    last = max((number for number, each in enumerate(results, 1) if each is not None), default=0)
    assert found == ([] if run is None else [(START + dt.timedelta(hours=run[0]), run[1], last)])


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (
            'Student,ID,SIS Login ID,Section,HW (7)\nPoints Possible,,,,10\n"Hopper, Grace",7,grace,One,3\n'
            '"Student, Test",8,x,One,\n',
            [("grace", "Hopper, Grace", "")],
        ),
        ("Student,ID,SIS User ID,Section,HW (7)\nGrace,7,,One,3\n", [("7", "Grace", "")]),
        (
            '\ufeff"First name","Last name","ID number","Email address"\nGrace,Hopper,,g@s.example\n',
            [("g@s.example",) * 2],
        ),
        (
            "Identifier,Full name,Email address,Status\nParticipant 7,Grace Hopper,g@s.example,-\n",
            [("g@s.example", "Grace Hopper", "g@s.example")],
        ),
        ("student;name\ngrace;Hopper, Grace\n", [("grace", "Hopper, Grace", "")]),
    ],
)
def test_tables_of_platforms(table: str, found: list[tuple[str, ...]]) -> None:
    """The column with ids is the one that is filled in; rows about nobody are left out."""
    scan = scan_roster(table)

    assert not scan.problems
    got = [(each.student, each.name, each.email) for each in scan.listed]
    assert [tuple(cells) for cells in got] == [
        each if len(each) == 3 else (each[0], "Grace Hopper", each[1]) for each in found
    ]
    assert read_roster(write_roster(scan.listed)) == list(scan.listed)


def test_a_restart_keeps_what_the_portal_knows(tmp_path: Path) -> None:
    """The roster's file is enrolled when it has changed, and not over what was changed in the portal."""
    folder = write_course(tmp_path)
    with open_portal(folder) as portal, portal.begin() as connection:
        ben = find_student(connection, "ben")
        assert ben is not None
        remove_person(connection, ben, by="prof", now=portal.clock())

    with open_portal(folder) as portal, portal.begin() as connection:
        assert find_student(connection, "ben") is None
    with (folder / "roster.csv").open("a", encoding="utf-8") as file:
        file.write("zoe,Zoë,,student\n")
    with open_portal(folder) as portal, portal.begin() as connection:
        assert find_student(connection, "zoe") is not None
