"""
The people of the course: who they are, how they get in, and a table to import.
"""

from __future__ import annotations

import csv
import io

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from grader.errors import UsageError
from grader.portal.access import Access, accesses, make_link, revoke
from grader.portal.people import Person, enrol, find_student, people, remove_person, set_staff
from grader.portal.roster import Plan, Scan, plan_roster, read_roster, scan_roster, write_roster
from grader.portal.web.staff.forms import attached, done, field, person_for, said, told
from grader.portal.web.visit import Visit
from grader.reports.cells import inert

__all__ = ["act", "act_on_person", "person", "roster"]

MOST_BYTES = 4 << 20
WHO = ("new", "students", "staff")
"""For whom links are made: students who were never here, all students, all staff."""


def roster(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    """Everybody, with how they get in."""
    with visit.portal.begin() as connection:
        everybody = people(connection, only_active=True)
        access = accesses(connection, visit.now)
    return visit.render(
        "staff/roster.html.jinja",
        status=status,
        people=everybody,
        access={person.id: access.get(person.id, Access()) for person in everybody},
        said=said(visit),
        problem=problem,
    )


def act(visit: Visit, form: FormData) -> Response:
    """Do what one of the forms of the roster says."""
    what = field(form, "do")
    try:
        if what == "preview":
            return _preview(visit, form)
        if what == "import":
            return _import(visit, form)
        if what == "add":
            return _add(visit, form)
        if what == "links":
            return _links(visit, form)
    except UsageError as error:
        return roster(visit, problem=told(error), status=409)
    raise HTTPException(400, "The form does not say what to do.")


def person(visit: Visit, *, link: str = "", problem: str = "", status: int = 200) -> Response:
    """Somebody, with how they get in."""
    found = person_for(visit)
    with visit.portal.begin() as connection:
        access = accesses(connection, visit.now).get(found.id, Access())
    return visit.render(
        "staff/person.html.jinja",
        status=status,
        person=found,
        access=access,
        link=link,
        said=said(visit),
        problem=problem,
    )


def act_on_person(visit: Visit, form: FormData) -> Response:
    """Make a link, end all access, change the role, or remove somebody."""
    found, what, by = person_for(visit), field(form, "do"), visit.staff.student
    if what == "link":
        with visit.portal.begin() as connection:
            secret = make_link(connection, found, by=by, now=visit.now)
        return person(visit, link=f"{visit.address}/sign-in/{secret}")
    if what not in ("revoke", "remove", "staff", "student"):
        raise HTTPException(400, "The form does not say what to do.")
    if found.id == visit.staff.id:
        return person(visit, problem="You cannot do that to yourself. Ask somebody else of the staff.", status=409)
    with visit.portal.begin() as connection:
        revoke(connection, found, by=by, now=visit.now)
        if what == "remove":
            remove_person(connection, found, by=by, now=visit.now)
        elif what != "revoke":
            set_staff(connection, found, what == "staff", by=by, now=visit.now)
    visit.portal.tell(found.id)
    if what == "remove":
        return done("/roster", "removed")
    return done(f"/roster/{found.id}", "revoked" if what == "revoke" else what)


def _preview(visit: Visit, form: FormData) -> Response:
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise UsageError("Choose a file first.")
    content = file.file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UsageError(f"The file has more than {MOST_BYTES >> 20} MiB.")
    try:
        scan = scan_roster(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError("The file is not in UTF-8. Save it as CSV UTF-8.") from error
    return _planned(visit, scan)


def _planned(visit: Visit, scan: Scan) -> Response:
    with visit.portal.begin() as connection:
        plan, entries = plan_roster(connection, scan.listed)
    return visit.render(
        "staff/import.html.jinja", scan=scan, plan=plan, table=write_roster(entries), has_changes=_has_changes(plan)
    )


def _has_changes(plan: Plan) -> bool:
    return bool(plan.added or plan.changed or plan.gone)


def _import(visit: Visit, form: FormData) -> Response:
    text = form.get("table")
    listed = read_roster(text if isinstance(text, str) else "")
    with visit.portal.begin() as connection:
        plan, entries = plan_roster(connection, listed)
        is_whole = field(form, "whole") == "yes"
        enrol(connection, entries, by=visit.staff.student, now=visit.now, is_whole=is_whole)
    visit.portal.tell(*(each.id for each in plan.gone))
    return done("/roster", "imported")


def _add(visit: Visit, form: FormData) -> Response:
    table = io.StringIO()
    csv.writer(table).writerows(
        [["student", "name", "email", "role"], [field(form, name) for name in ("student", "name", "email", "role")]]
    )
    scan = scan_roster(table.getvalue())
    if scan.problems or not scan.listed:
        raise UsageError(scan.problems[0].partition(": ")[2].capitalize() if scan.problems else "There is no id.")
    with visit.portal.begin() as connection:
        if find_student(connection, scan.listed[0].student) is not None:
            raise UsageError(f"There is a {scan.listed[0].student!r} already.")
        enrol(connection, scan.listed, by=visit.staff.student, now=visit.now)
        added = find_student(connection, scan.listed[0].student)
    assert added is not None
    visit.portal.tell()
    return done(f"/roster/{added.id}", "added")


def _links(visit: Visit, form: FormData) -> Response:
    """New personal links as a table, which shows each of them once."""
    who = field(form, "who")
    if who not in WHO:
        raise UsageError("Choose for whom the links are.")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["student", "name", "email", "link"])
    with visit.portal.begin() as connection:
        access = accesses(connection, visit.now)
        chosen = [
            each
            for each in people(connection, only_active=True)
            if each.is_staff == (who == "staff") and not (who == "new" and _was_here(each, access))
        ]
        if not chosen:
            raise UsageError("There is nobody to make a link for.")
        for each in chosen:
            secret = make_link(connection, each, by=visit.staff.student, now=visit.now)
            link = f"{visit.address}/sign-in/{secret}"
            table.writerow([*map(inert, (each.student, each.name, each.email)), link])
    visit.portal.tell()
    return Response(text.getvalue(), headers=attached("links.csv", "text/csv; charset=utf-8"))


def _was_here(each: Person, access: dict[int, Access]) -> bool:
    return access.get(each.id, Access()).was_here
