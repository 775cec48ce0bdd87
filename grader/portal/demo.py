"""
A course to try the portal with: the shipped assignments, and the sample submissions handed in by sample students.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import nbformat

from grader import shipped
from grader.assignment.find import find_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.errors import UsageError
from grader.files import write_atomically
from grader.portal.attempts import accept
from grader.portal.course import FILE
from grader.portal.new import write_course
from grader.portal.people import Listed, enrol, find_student
from grader.portal.portal import Portal

__all__ = ["STAFF", "STUDENT", "fill_demo", "write_demo"]

STAFF, STUDENT = "instructor", "you"
LEFT_OUT = ("endless-loop",)
"""Nobody wants to wait for it."""


def write_demo(folder: Path) -> None:
    """
    Write the course of the demo, unless it is there.

    Raises:
        UsageError: This installation has no samples, or the folder cannot be written to.
    """
    if not shipped.samples().is_dir():
        raise UsageError("There are no samples in this installation.", "Install the grader from its repository.")
    if not (folder / FILE).exists():
        write_course(folder, title="Sample course", staff=STAFF, solutions=None)
        write_atomically(folder / "roster.csv", f"student,name,email,role\n{STAFF},Instructor,,staff\n")


def fill_demo(portal: Portal) -> None:
    """Enrol the sample students, and let them hand in the sample submissions, each once."""
    now = portal.clock()
    with portal.begin() as connection:
        if find_student(connection, STUDENT) is not None:
            return
        enrol(connection, [Listed(STUDENT, "Sam")], by="demo", now=now)
    number = 0
    for folder in sorted(path for path in shipped.samples().iterdir() if path.is_dir()):
        served = portal.served.get(folder.name)
        if served is None:
            continue
        released = release_notebook(read_source(find_assignment(folder.name, shipped.solutions())))
        for answers in sorted(folder.glob("*.py")):
            if answers.stem in LEFT_OUT:
                continue
            number += 1
            notebook = nbformat.writes(fill_blanks(released, answers.read_text(encoding="utf-8")))
            student = f"student-{number}"
            moment = now - dt.timedelta(minutes=number)
            with portal.begin() as connection:
                enrol(connection, [Listed(student, f"Student {number}")], by="demo", now=now)
                person = find_student(connection, student)
                assert person is not None
                file = f"{answers.stem}.ipynb"
                accept(connection, person, served.offer, file=file, content=notebook.encode("utf-8"), now=moment)
