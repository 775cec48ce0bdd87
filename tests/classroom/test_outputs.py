"""The names of reports, tables that are safe in a spreadsheet, and the class's page."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.classroom.outputs import name_reports, write_gradebook
from grader.classroom.overview import build_overview
from grader.classroom.page import render_overview
from grader.classroom.records import Owner, Problem
from grader.files import remove_leftovers
from grader.model import Flag
from grader.reports.cells import points
from tests.classroom.class_samples import entry_of, large_class, received_of

HOSTILE = "</script><script>alert(1)</script>\u202e\x1b[31m"


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_names_are_safe_and_unique(students: list[str]) -> None:
    stems = name_reports(received_of(student) for student in students)

    assert len({stem.casefold() for stem in stems.values()}) == len(students)
    for stem in stems.values():
        assert stem
        assert not set(stem) & set('/\\:*?"<>|\n\0')
        assert stem.strip(" .") == stem
        assert len(stem.encode("utf-8", "surrogatepass")) < 200
        assert stem.casefold() not in ("index", "gradebook")


def test_ordinary_names_are_not_changed() -> None:
    names = ["alice", "s 1001 (2)", "Émilie", "4021"]

    assert list(name_reports(map(received_of, names)).values()) == names


@pytest.mark.parametrize(("number", "text"), [(0, "0.00"), (7.125, "7.13"), (2.675, "2.68"), (0.1 + 0.2, "0.30")])
def test_points_are_rounded_once_half_up(number: float, text: str) -> None:
    assert points(number) == text


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    names = ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
    entries = [entry_of(f"s{n}", received=received_of(name, display=name)) for n, name in enumerate(names)]

    write_gradebook(tmp_path, entries, [Problem("=evil", "It is not a notebook.", Owner("canvas", "=1"))])

    rows = list(csv.reader(io.StringIO((tmp_path / "gradebook.csv").read_bytes().decode(), newline="")))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell.strip().startswith(("=", "+", "-", "@"))]
    assert rows[1][:2] == [f"'{names[0]}"] * 2
    written = json.loads((tmp_path / "gradebook.json").read_text())
    assert [result["student"] for result in written["results"]] == names
    assert written["problems"][0]["student"] == "=1"


def test_a_hostile_name_is_shown_as_text() -> None:
    entry = entry_of(
        "x",
        "grad_z1:missing_mask",
        received=received_of(HOSTILE, display=HOSTILE),
        flags=(Flag(id=HOSTILE, exercise=None, evidence=HOSTILE),),
    )
    overview = build_overview([entry] * 2, [Problem(HOSTILE, HOSTILE)], title=HOSTILE, facts=[(HOSTILE, HOSTILE)])

    page = render_overview(overview)

    assert page.count("<script") == 1
    assert "alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    for name, age in (
        (".s1.json.abc.partial", 3600),
        (".s2.json.abc.partial", 1),
        (".hidden", 3600),
        ("a.partial", 3600),
    ):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)

    remove_leftovers(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {".s2.json.abc.partial", ".hidden", "a.partial"}


def test_the_same_class_gives_the_same_page() -> None:
    pages = {render_overview(build_overview(large_class(60), [], title="t", facts=[])) for _ in range(2)}

    assert len(pages) == 1


def test_an_empty_class_and_a_class_of_one() -> None:
    for entries in ([], [entry_of("alice")], [entry_of("alice", fault="The machine.")]):
        page = render_overview(build_overview(entries, [], title="t", facts=[]))

        has_fault = any(entry.fault for entry in entries)
        assert ("The grader failed" in page) is has_fault
