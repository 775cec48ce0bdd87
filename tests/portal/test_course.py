"""The file of a course: its rules, and what it says about mistakes in it."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import shipped
from grader.assignment.find import find_sources
from grader.cli import main
from grader.errors import UsageError
from grader.portal.attempts import accept, attempts_of
from grader.portal.course import Late, Offer, course_schema, open_course
from grader.portal.people import find_student, lock_person
from grader.portal.portal import open_portal
from grader.portal.roster import read_roster
from tests.conftest import ROOT
from tests.portal.server import write_course


@pytest.mark.parametrize(
    ("settings", "rules", "line", "says"),
    [
        ("titel = 3", "", 3, "There is no setting `titel`"),
        ("", "dew = 2026-10-01T00:00:00Z", 6, "Do you mean `due`?"),
        ("", "due = 2026-10-01T00:00:00", 6, "no time zone"),
        ("", "opens = 2026-10-02T00:00:00Z\ndue = 2026-10-01T00:00:00Z", 7, "`due` is before `opens`"),
        ("", "attempts = -1", 6, "`attempts` must be a whole number that is at least 0."),
        ("", 'counts = "newest"', 6, "`counts` must be best or last."),
        ("", "late = { percent_per_day = 120 }", 6, "`late.percent_per_day` must be a number that is at most 100."),
        ("", 'late = { percent_per_day = "10" }', 6, "`late.percent_per_day` must be a number."),
        ("", "due = 2026-10-01", 6, "`due` must be a date and time, as in 2026-12-04T18:00:00+01:00."),
        ("gradebook = 3", "", 3, "`gradebook` must be a text in quotation marks."),
        ("", '[[assignment]]\nid = "two_layer_mse"', 7, "The assignment 'two_layer_mse' is listed twice."),
        ("", "[[assignment]]\nattempts = 3", 6, "There is no `id`"),
        ('address = "grader.school.example"', "", 3, "is not an address"),
        ('address = "https://school.example/grader"', "", 3, "is not an address"),
        ('address = "https://["', "", 3, "is not an address"),
        ('address = "http://grader.school.example"', "", 3, "is not an address"),
        ('address = "https://Grader.School.example"', "", 3, "is not an address"),
        ('address = "https://grader.school.example:443"', "", 3, "is not an address"),
        ("a = = 3", "", 3, "is not TOML"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, settings: str, rules: str, line: int, says: str) -> None:
    """Each is one sentence, which says where."""
    folder = write_course(tmp_path, settings, rules=rules)

    with pytest.raises(UsageError) as raised:
        open_course(folder)

    assert f"line {line}" in str(raised.value)
    assert says in str(raised.value)


def test_a_missing_title_is_on_no_line(tmp_path: Path) -> None:
    """The error says what is missing and how to add it."""
    (tmp_path / "course.toml").write_text('[[assignment]]\nid = "two_layer_mse"\n', encoding="utf-8")

    with pytest.raises(UsageError) as raised:
        open_course(tmp_path)

    assert "`title`" in str(raised.value)
    assert "Add it: title = …" in str(raised.value)
    assert "line" not in str(raised.value)


def test_a_new_course_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `grader course new` writes passes `grader course check`, and links are made for its instructor."""
    folder = tmp_path / "course"

    assert main(["course", "new", str(folder), "--staff", "prof", "--title", 'Say "hello"']) == 0
    assert main(["course", "check", str(folder)]) == 0
    assert main(["course", "links", str(folder), "--staff"]) == 0
    assert main(["course", "new", str(folder)]) == 2

    out, said = capsys.readouterr()
    assert out.splitlines()[1].startswith("prof,Instructor,,http://127.0.0.1:8642/sign-in/")
    assert "0 students, 1 staff" in said
    assert open_course(folder).title == 'Say "hello"'
    assert {"title", "assignment"} <= set(course_schema()["$defs"]["Course"]["properties"])


def test_a_new_course_begins_with_what_is_to_begin_with(tmp_path: Path) -> None:
    """Its assignments, and so those of the demo, have the order in which the guide for instructors lists them."""
    assert main(["course", "new", str(tmp_path)]) == 0

    ids = [offer.id for offer in open_course(tmp_path).assignment]
    guide = (ROOT / "docs" / "instructors.md").read_text(encoding="utf-8").partition("## The assignments")[2]
    assert ids[0] == "two_layer_mse"
    assert ids == re.findall(r"^\| `(\w+)` \|", guide.partition("\n## ")[0], re.MULTILINE)
    assert set(ids) == set(find_sources(shipped.solutions()))


def test_a_course_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `solutions`, it has the grader's source notebooks, and not those that lie where a command runs."""
    (tmp_path / "solutions").mkdir()
    shutil.copy(shipped.solutions() / "convnet.md", tmp_path / "solutions" / "mine.md")
    monkeypatch.chdir(tmp_path)

    assert main(["course", "new", "course"]) == 0

    sources = open_course(tmp_path / "course").sources(tmp_path / "course")
    assert sources == find_sources(shipped.solutions())
    assert main(["course", "new", "mine", "--solutions", "solutions"]) == 0
    sources = open_course(tmp_path / "mine").sources(tmp_path / "mine")
    assert sources == {"mine": tmp_path / "solutions" / "mine.md"}


def test_links_for_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says who is missing."""
    folder = write_course(tmp_path, roster="student,role\nprof,staff\n")

    assert main(["course", "links", str(folder), "--all"]) == 2
    assert "The roster has no students." in capsys.readouterr().err
    assert main(["course", "links", str(folder)]) == 2
    assert "Nobody is named." in capsys.readouterr().err


def test_lateness_costs_by_the_day() -> None:
    """Each day that has begun costs; not more than the limit."""
    late = Late(percent_per_day=10, at_most_percent=25)

    hours = {0: 1.0, 1: 0.9, 24: 0.9, 25: 0.8, 49: 0.75, 1000: 0.75, -5: 1.0}

    assert {hour: late.factor(dt.timedelta(hours=hour)) for hour in hours} == pytest.approx(hours)
    assert Offer(id="a").late.factor(dt.timedelta(days=3)) == 1.0


@given(st.floats(0, 100), st.floats(0, 100), st.timedeltas(dt.timedelta(0), dt.timedelta(days=900)), st.timedeltas())
def test_being_later_is_never_cheaper(rate: float, most: float, first: dt.timedelta, more: dt.timedelta) -> None:
    """What is left falls with lateness, and stays between 0 and 1."""
    late = Late(percent_per_day=rate, at_most_percent=most)
    later = first + abs(more) % dt.timedelta(days=900)

    assert 0 <= late.factor(later) <= late.factor(first) <= 1


def test_rosters_of_platforms_are_read() -> None:
    """Canvas, Moodle and our own: the ids, names and roles are found."""
    ours = read_roster("student,name,email,role\nada,Ada,a@b.example,ta\n\n")
    moodle = read_roster("First name;Last name;ID number;Email address\nAda;Lovelace;17;ada@school.example\n")
    canvas = read_roster("\ufeffName,SIS Login ID\nAda,ada7\n")

    assert (ours[0].student, ours[0].is_staff) == ("ada", True)
    assert (moodle[0].student, moodle[0].name, moodle[0].email) == ("17", "Ada Lovelace", "ada@school.example")
    assert (canvas[0].student, canvas[0].name) == ("ada7", "Ada")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name\nAda\n", "no column `student`"),
        ("student,role\nada,king\n", "line 2: there is no role 'king'"),
        ("student\nada\nada\n", "line 3: the id 'ada' is in line 2 already."),
        ("student,name\n,Ada\n", "line 2: there is no id"),
        (f"student\n{'a' * 300}\n", "too long"),
        ("student\na\x07b\n", "unprintable"),
    ],
)
def test_mistakes_in_a_roster(text: str, says: str) -> None:
    """Each names its line."""
    with pytest.raises(UsageError, match=says):
        read_roster(text)


def test_a_course_that_cannot_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each reason is a sentence, with exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        course = str(write_course(tmp_path / "course"))
        unknown = str(write_course(tmp_path / "b", rules='[[assignment]]\nid = "none"'))
        reasons = {
            "There is no course to serve": ["serve"],
            "`grader course new": ["serve", str(tmp_path / "nowhere")],
            "cannot be used (Address already in use). Choose one with --port": ["serve", course, "--port", port],
            "There is no assignment": ["serve", unknown, "--port", "0"],
        }
        for reason, command in reasons.items():
            assert main(command) == 2
            assert reason in capsys.readouterr().err


def test_files_beside_the_course_are_secret(tmp_path: Path) -> None:
    """A gradebook or a roster that stands elsewhere is hidden from notebooks, too."""
    folder = write_course(tmp_path / "course", 'gradebook = "../marks/gradebook.db"')
    with open_portal(folder) as portal:
        hidden = {path.resolve() for path in portal.secrets}

    assert {folder, folder / "roster.csv", tmp_path / "marks" / "gradebook.db"} <= hidden


@pytest.mark.slow
@pytest.mark.parametrize(("limits", "room"), [("(300, 900)", "700 900"), ("(300, 600)", "400 600")])
def test_room_for_connections(limits: str, room: str) -> None:
    """The server asks the system for as many files as it needs, and takes no more connections than it gets."""
    code = f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, {limits}); from grader.portal.serve import make_room; "
    code += "print(make_room(700), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)

    assert done.stdout.strip() == room


def test_a_backup_is_a_course(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unpacked into an empty folder, it is the same course, with what was handed in, also while somebody writes."""
    course, archive = write_course(tmp_path / "course", 'solutions = "own"'), tmp_path / "backup.zip"
    shutil.copytree(ROOT / "solutions", course / "own")
    (course / "own" / ".hidden").touch()
    assert main(["course", "backup", str(course), str(archive)]) == 2
    with open_portal(course) as portal, portal.begin() as connection:
        ada = find_student(connection, "ada")
        assert ada is not None
        accept(connection, ada, portal.course.assignment[0], file="a.ipynb", content=b"{}", now=portal.clock())
    with open_portal(course) as portal, portal.begin() as connection:
        lock_person(connection, ada)
        assert main(["course", "backup", str(course), str(archive)]) == 0
    zipfile.ZipFile(archive).extractall(tmp_path / "restored")
    with open_portal(tmp_path / "restored") as portal, portal.begin() as connection:
        restored = attempts_of(connection)

    assert [(each.student, each.file, each.state) for each in restored] == [("ada", "a.ipynb", "queued")]
    said = capsys.readouterr().err
    assert "course.toml, roster.csv, gradebook.db, own/" in said
    assert "are not in it" not in said
    copied = sorted(path.name for path in (tmp_path / "restored" / "own").iterdir())
    assert copied == sorted(path.name for path in (ROOT / "solutions").iterdir())


def test_a_backup_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Source notebooks outside of the course's folder."""
    course = write_course(tmp_path / "course", f"solutions = '{ROOT / 'solutions'}'")
    with open_portal(course):
        pass

    assert main(["course", "backup", str(course), str(tmp_path / "backup.zip")]) == 0

    assert f"The source notebooks are not in it. Copy {ROOT / 'solutions'}, too." in capsys.readouterr().err


def test_check_names_what_replaces_a_shipped_assignment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A course may have an edited copy; whoever made it by accident reads so."""
    course, own = write_course(tmp_path / "course", 'solutions = "own"'), tmp_path / "course" / "own"
    own.mkdir()
    shutil.copy(shipped.solutions() / "two_layer_mse.svg", own)
    text = (shipped.solutions() / "two_layer_mse.md").read_text(encoding="utf-8")
    (own / "two_layer_mse.md").write_text(text.replace("hidden_seed: ", "hidden_seed: 1"), encoding="utf-8")

    assert main(["course", "check", str(course)]) == 0

    says = "own/two_layer_mse.md is used in place of the assignment 'two_layer_mse' that comes with the grader."
    assert capsys.readouterr().err.count(says) == 1


@pytest.mark.parametrize("command", [["check"], ["links", "--staff"]])
def test_a_draft_without_exercises(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """A course that has it says what to do; a course that has not named it is as it was."""
    course, own = write_course(tmp_path / "course", 'solutions = "own"'), tmp_path / "course" / "own"
    shutil.copytree(shipped.solutions(), own)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    nbformat.write(notebook, tmp_path / "plain.ipynb")
    assert main(["new", "plain", "--solutions", str(own), "--from-notebook", str(tmp_path / "plain.ipynb")]) == 0
    arguments = ["course", command[0], str(course), *command[1:]]
    assert main(arguments) == 0
    with (course / "course.toml").open("a") as file:
        file.write('[[assignment]]\nid = "plain"\n')
    capsys.readouterr()

    assert main(arguments) == 2

    assert capsys.readouterr().err == (
        "grader: plain.md has no exercise. Tag a code cell with `exercise`. Or leave it out until it is finished: "
        f"delete its [[assignment]] in {course / 'course.toml'}.\n"
    )


def test_a_gradebook_of_a_class_becomes_the_portals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `grader batch` saved stays, and what it ran is not run again."""
    folder, course = tmp_path / "class", write_course(tmp_path / "course")
    folder.mkdir()
    (folder / "ada.ipynb").write_bytes(b"no notebook")
    batch = ["batch", str(folder), "-a", "two_layer_mse", "--jobs", "1", "-o", str(tmp_path / "out")]
    batch += ["--gradebook", str(course / "gradebook.db")]
    assert main(batch) == 2
    assert main(["course", "check", str(course)]) == 0
    capsys.readouterr()

    assert main(batch) == 2

    assert "1 known already" in capsys.readouterr().err
