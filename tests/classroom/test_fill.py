"""The instructor's own gradebook is filled in: only the marks change."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.classroom.fill import fill_gradebook
from grader.errors import UsageError
from tests.classroom.class_samples import entry_of

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,mnist (11),essay (12),mnist Final Score\n"
    "    Points Possible,,,,,10,5,(read only)\n"
    '"Lovelace, Ada",4021,S1,ada,"One, ""A""",,4,x\n'
    '"Hopper, Grace",4022,S2,grace,One,"3",4,x\n'
    "Student Test,4099,,,One,,,"
)
MOODLE = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments\r\n"
    'Participant 1,Ada,a@example.edu,Submitted,,10.00,Yes,"two\r\nlines"\r\n'
    "Participant 2,Grace,g@example.edu,Submitted,1.00,10.00,No,\r\n"
    "Participant 3,Emmy,e@example.edu,No submission,,10.00,Yes,\r\n"
)
ENTRIES = [
    entry_of("4021"),
    entry_of("4022", "grad_z1:missing_mask", fault="The machine."),
    entry_of("4023"),
    entry_of("1", "grad_w1:transposed", platform="moodle"),
    entry_of("2", platform="moodle"),
]


def filled(tmp_path: Path, text: str, column: str | None = None, entries: list = ENTRIES) -> tuple[str, int, tuple]:
    path = tmp_path / "grades.csv"
    path.write_bytes(text.encode())
    done = fill_gradebook(path, entries, tmp_path, column=column)
    assert path.read_bytes() == text.encode()
    return done.path.read_bytes().decode(), done.rows, done.notes


def test_a_gradebook_from_canvas(tmp_path: Path) -> None:
    """A row stays the same if the grader failed or the student is unknown. Nobody is left out silently."""
    text, rows, notes = filled(tmp_path, CANVAS, "mnist (11)")

    assert text == CANVAS.replace('""A""",,', '""A""",10.00,')
    assert rows == 1
    assert notes == (
        "Cells of people without a mark stay as they are (4022; 4099).",
        "Marks of people who are not in this gradebook were left out (4023).",
    )


def test_the_column_must_be_clear(tmp_path: Path) -> None:
    for column in (None, "mnist", "essay"):
        with pytest.raises(UsageError, match="Which column"):
            filled(tmp_path, CANVAS, column)
    assert not (tmp_path / "grades-filled.csv").exists()


def test_another_maximum_is_reported(tmp_path: Path) -> None:
    text, _, notes = filled(tmp_path, CANVAS, "essay (12)")

    assert '""A""",,10.00,x' in text
    assert "out of 5 points" in notes[0]


def test_semicolons_and_no_line_end(tmp_path: Path) -> None:
    text = "\ufeffStudent;ID;Section;mnist (11)\n    Points Possible;;;10\nAda;4021;A;"

    assert filled(tmp_path, text)[0] == text + "10.00"


def test_students_from_other_platforms_are_found_by_their_sis_ids(tmp_path: Path) -> None:
    entries = [entry_of("grace", platform="nbgrader"), entry_of("4021", platform="plain")]

    text, rows, _ = filled(tmp_path, CANVAS, "mnist (11)", entries)

    assert text == CANVAS.replace('"3"', '"10.00"')
    assert rows == 1


def test_a_worksheet_from_moodle(tmp_path: Path) -> None:
    """A locked row is not changed, and a note says so."""
    text, rows, notes = filled(tmp_path, MOODLE)

    assert text == MOODLE.replace("Submitted,,10.00,Yes", "Submitted,8.00,10.00,Yes")
    assert rows == 1
    assert notes == (
        "Cells of people without a mark stay as they are (Participant 3).",
        "1 row is locked in Moodle, and was not changed.",
    )


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfeS\0t\0", b'"', b"\n\n\n", b"Student,ID,x\n"])
def test_files_that_are_not_gradebooks(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "grades.csv"
    path.write_bytes(content)

    with pytest.raises(UsageError):
        fill_gradebook(path, ENTRIES, tmp_path)
    with pytest.raises(UsageError):
        fill_gradebook(tmp_path / "missing.csv", ENTRIES, tmp_path)


@pytest.mark.parametrize("names", ["LastName,FirstName,ID", "Last Name,First Name,ID", "FirstName,LastName,ID"])
def test_names_in_two_columns(tmp_path: Path, names: str) -> None:
    text = f"{names},SIS User ID,SIS Login ID,Section,mnist (11)\n    Points Possible,,,,,,10\nLovelace,Ada,4021,,,A,\n"

    assert filled(tmp_path, text)[0] == text[:-1] + "10.00\n"


@pytest.mark.parametrize("word", ["EX", "N/A", "ex", "Excused", "85%", "complete", "A-", "nan", '"EX, ""late"""'])
def test_a_word_in_a_cell_stays_and_is_told(tmp_path: Path, word: str) -> None:
    text = f"Student,ID,Section,mnist (11)\n    Points Possible,,,10\nAda,4021,A,{word}\nBob,4023,A,\n"

    result, rows, notes = filled(tmp_path, text)

    assert result == text[:-1] + "10.00\n"
    assert rows == 1
    assert len(notes) == 1
    assert "stay as they are (4021: " in notes[0]


@pytest.mark.parametrize(("old", "says"), [("3", True), ("7,5", True), ("10", False), ("10.00", False), ("-", False)])
def test_points_that_are_replaced_are_told(tmp_path: Path, old: str, says: bool) -> None:
    """A dash and nothing are no points; equal points are no change."""
    text = f"Student;ID;Section;mnist (11)\n    Points Possible;;;10\nAda;4021;A;{old}\n"
    moodle = f"Identifier,Grade,Maximum Grade\nParticipant 1,{old.replace(',', '.')},10.00\n"

    for sheet, right in ((text, "10.00"), (moodle, "8.00")):
        result, rows, notes = filled(tmp_path, sheet)

        assert right in result.splitlines()[-1]
        assert rows == 1
        assert [note for note in notes if "were replaced" in note] == [
            note for note in notes if f"{old.replace(',', '.') if sheet == moodle else old} became {right}" in note
        ]
        assert any("were replaced" in note for note in notes) == (says if sheet == text else old != "-")


def test_the_row_of_points_and_its_remark_in_another_language(tmp_path: Path) -> None:
    text = "Student,ID,Section,mnist (11),essay (12)\n    Puntos posibles,,,10,(solo lectura)\nAda,4021,A,,\n"

    assert filled(tmp_path, text)[0] == text.replace("4021,A,,", "4021,A,10.00,")
