"""Of several files of one student, the notebook of the assignment is graded; nobody becomes somebody else."""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from grader.classroom import submissions
from grader.classroom.submissions import Roster, gather
from grader.cli import main
from grader.errors import UsageError
from grader.gradescope.run import choose_file
from tests.classroom.test_submissions import archive_of
from tests.conftest import SOURCE

EXERCISES = ("grad_w", "grad_b", "grad_x")


def notebook(*answers: str, blanks: tuple[str, ...] = (), mark: str | None = "two", extra: str = "") -> bytes:
    """A notebook with these functions filled in, and those blank."""
    codes = [f"def {name}(x):\n    return x{extra}" for name in answers]
    codes += [f"def {name}(x):\n    raise NotImplementedError" for name in blanks]
    cells = [{"cell_type": "code", "source": code, "metadata": {}, "outputs": []} for code in codes]
    metadata = {"grader": {"assignment": mark}} if mark else {}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


FULL = notebook(*EXERCISES)
PART = notebook("grad_w", blanks=("grad_b", "grad_x"))
STARTER = notebook(blanks=EXERCISES)
UNMARKED = notebook(*EXERCISES, mark=None)
SCRATCH = notebook("helper", mark=None)
OTHER = notebook(*EXERCISES, mark="another", extra=" + 1")
SCRIPT = b"def grad_w(x):\n    return x\n\ndef grad_b(x):\n    return x\n\ndef grad_x(x):\n    return x\n"


def settled(path: Path, members: dict[str, bytes], *, packed: bool = False, platform: str | None = None) -> Roster:
    if packed:
        path = path / "class.zip"
        path.write_bytes(archive_of(members))
    else:
        for name, content in members.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    return gather([path], assignment_id="two", platform=platform).settle("two", EXERCISES)


def chosen(roster: Roster) -> dict[str, str]:
    return {each.owner.student: each.file.name for each in roster.received}


def serious(roster: Roster) -> list[str]:
    return [problem.where for problem in roster.problems if problem.is_serious]


PLACES: dict[str, Callable[[str, bytes], dict[str, bytes]]] = {
    "moodle": lambda name, work: {f"Ada Lovelace_12_assignsubmission_file/{name}": work},
    "gradescope": lambda name, work: {
        "submission_metadata.yml": b"submission_1:\n  :submitters:\n  - :sid: '12'\n",
        f"submission_1/{name}": work,
    },
    "nbgrader": lambda name, work: {f"submitted/12/two/{name}": work},
    "repositories": lambda name, work: {
        "12/.git/HEAD": b"",
        "13/.github/workflows/a.yml": b"",
        "13/a.ipynb": FULL,
        f"12/{name}": work,
    },
    "canvas": lambda name, work: {
        f"ada_12_{900 + sum(name.encode())}_{name.replace('/', '_')}": work,
        "bob_13_1_a.ipynb": FULL,
    },
}


class TestOfSeveralNotebooks:
    """On every platform, unpacked or not, and in archives that students handed in."""

    @pytest.mark.parametrize("platform", PLACES)
    @pytest.mark.parametrize(
        ("wanted", "others"),
        [
            (FULL, [SCRATCH, STARTER]),
            (FULL, [PART, b"{", b"<html>"]),
            (PART, [STARTER, SCRATCH, OTHER]),
            (UNMARKED, [STARTER, OTHER]),  # the mark was lost, as some editors lose it
            (STARTER, [SCRATCH, OTHER]),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_the_one_of_the_assignment_is_graded(
        self, tmp_path: Path, platform: str, wanted: bytes, others: list[bytes], packed: bool
    ) -> None:
        place, members = PLACES[platform], dict[str, bytes]()
        for number in range(len(others) + 1):  # wherever it stands among them
            works = [*others[:number], wanted, *others[number:]]
            members = {}
            for name, work in zip("abcdef", works, strict=False):
                members |= place(f"{name}.ipynb", work)
            folder = tmp_path / str(number)
            folder.mkdir()

            roster = settled(folder, members, packed=packed)

            best = next(each for each in roster.received if each.owner.student == "12")
            assert best.file.read() == wanted, number
            assert best.owner.platform == platform
            assert not serious(roster)

    @pytest.mark.parametrize("platform", [*PLACES, "plain"])
    def test_in_an_archive(self, tmp_path: Path, platform: str) -> None:
        """A starter and a checkpoint beside it do not count."""
        work = archive_of({"hw/a.ipynb": FULL, "hw/starter/a.ipynb": STARTER, "hw/.ipynb_checkpoints/a.ipynb": PART})
        place = PLACES.get(platform, lambda name, work: {name: work})

        roster = settled(tmp_path, place("12.zip", work))

        best = next(each for each in roster.received if each.owner.student == "12")
        assert best.file.read() == FULL
        assert not serious(roster)

    def test_a_script_with_answers_comes_before_an_empty_notebook(self, tmp_path: Path) -> None:
        assert chosen(settled(tmp_path, {"alice.ipynb": STARTER, "alice.py": SCRIPT})) == {"alice": "alice.py"}
        assert chosen(settled(tmp_path, {"alice.ipynb": FULL, "alice.py": SCRIPT})) == {"alice": "alice.ipynb"}

    def test_on_gradescope_itself(self, tmp_path: Path) -> None:
        for name, content in (("a.ipynb", SCRATCH), ("b.ipynb", STARTER), ("c.py", b"x = 1"), ("z.ipynb.txt", FULL)):
            (tmp_path / name).write_bytes(content)

        assert choose_file(tmp_path, "two", EXERCISES).name == "z.ipynb.txt"

    def test_the_newest_attempt_with_such_a_notebook_counts(self, tmp_path: Path) -> None:
        """An older attempt with more answers does not, and one without any of the functions is none."""
        weeks = [tmp_path / name for name in ("1", "2", "3")]
        for week, (number, work) in zip(weeks, ((5, FULL), (7, PART), (9, SCRATCH)), strict=True):
            week.mkdir()
            (week / f"ada_12_{number}_a.ipynb").write_bytes(work)

        roster = gather(weeks).settle("two", EXERCISES)

        assert chosen(roster) == {"12": "ada_12_7_a.ipynb"}
        assert not serious(roster)


class TestTwoFilesOfOneStudent:
    """Where two files may be two students', words and the exit code say so."""

    def test_two_different_answers_in_one_attempt(self, tmp_path: Path) -> None:
        another = notebook(*EXERCISES, extra=" * 2")
        roster = settled(
            tmp_path, {"a_1_assignsubmission_file/x.ipynb": FULL, "a_1_assignsubmission_file/y.ipynb": another}
        )

        assert len(roster.received) == 1
        assert "answer the same number of exercises, but differently" in roster.problems[0].message
        assert len(serious(roster)) == 1

    def test_the_same_answers_twice(self, tmp_path: Path) -> None:
        roster = settled(
            tmp_path, {"a_1_assignsubmission_file/x.ipynb": FULL, "a_1_assignsubmission_file/y.ipynb": FULL}
        )

        assert len(roster.received) == 1
        assert not serious(roster)

    def test_one_name_in_two_folders(self, tmp_path: Path) -> None:
        """Named as two sources, they are one student's only by the name of the file."""
        for name, work in (("one", FULL), ("two", PART)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "hw.ipynb").write_bytes(work)
        sources = [tmp_path / "one" / "hw.ipynb", tmp_path / "two"]

        roster = gather(sources).settle("two", EXERCISES)

        assert len(roster.received) == 1
        assert "If it is another student's, that student has no points yet." in roster.problems[0].message
        assert serious(roster)

        (tmp_path / "two" / "hw.ipynb").write_bytes(FULL)
        assert not serious(gather(sources).settle("two", EXERCISES))

    def test_an_archive_of_a_class_in_a_plain_folder(self, tmp_path: Path) -> None:
        section = archive_of({"alice.ipynb": FULL, "bob.ipynb": notebook(*EXERCISES, extra=" + 1")})
        roster = settled(tmp_path, {"section.zip": section, "carol.ipynb": FULL})

        assert chosen(roster) == {"carol": "carol.ipynb"}
        assert serious(roster) == ["section.zip"]

    def test_one_id_of_two_people(self, tmp_path: Path) -> None:
        """An id that two people have identifies neither; where the platform was named by hand, a problem says so."""
        metadata = b"""\
submission_1:
  :submitters:
  - {":name": Ada, ":sid": "0", ":email": ada@example.edu}
submission_2:
  :submitters:
  - {":name": Bob, ":sid": "0", ":email": bob@example.edu}
"""
        files = {"submission_metadata.yml": metadata, "submission_1/a.ipynb": FULL, "submission_2/a.ipynb": FULL}
        (tmp_path / "gradescope").mkdir()
        (tmp_path / "canvas").mkdir()

        assert chosen(settled(tmp_path / "gradescope", files)).keys() == {"ada@example.edu", "bob@example.edu"}
        names = {"ada_2026_11_hw.ipynb": FULL, "bob_2026_12_hw.ipynb": FULL}
        forced = settled(tmp_path / "canvas", names, platform="canvas")
        assert len(forced.received) == 1
        assert "Two students seem to have this id: ada and bob." in next(each.message for each in forced.problems)
        assert len(settled(tmp_path / "canvas", names).received) == 2


class TestNobodyIsLost:
    """What cannot be graded, or belongs to nobody, is a serious problem."""

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"submitted/ada/two/a.ipynb": FULL, "submitted/bob/a.ipynb": FULL}, "submitted/bob/a.ipynb"),
            ({"submission_metadata.yml": b"{}", "submission_1/a.ipynb": FULL, "b.ipynb": FULL}, "b.ipynb"),
            (
                {f"{name}_assignsubmission_file/a.ipynb": FULL for name in ("ada_1", "eve_2")}
                | {"bob.zip": archive_of({"a.ipynb": FULL})},
                "bob.zip",
            ),
            ({"ada_1_2_a.ipynb": FULL, "eve_3_4_a.ipynb": FULL, "bob.zip": archive_of({"a.ipynb": FULL})}, "bob.zip"),
            ({"a/.git/HEAD": b"", "a/a.ipynb": FULL, "b/.git/HEAD": b"", "b/c.txt": b""}, "b"),
            ({"a/.git/HEAD": b"", "a/a.ipynb": FULL, "b/.git/x": b"", "b/b.py": b"", "c.ipynb": FULL}, "c.ipynb"),
            ({"ada.ipynb": FULL, "bob.html": b"<html>"}, "bob.html"),
            ({"ada.ipynb": FULL, "bob.rar": b""}, "bob.rar"),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_what_is_left_over_is_told(
        self, tmp_path: Path, members: dict[str, bytes], where: str, packed: bool
    ) -> None:
        assert serious(settled(tmp_path, members, packed=packed)) == [where]

    def test_a_notebook_below_an_assignment_of_nbgrader_is_found(self, tmp_path: Path) -> None:
        members = {"submitted/ada/two/a.ipynb": FULL, "submitted/bob/two/work/a.ipynb": FULL}

        assert chosen(settled(tmp_path, members)).keys() == {"ada", "bob"}

    def test_the_web_page_of_a_student_with_a_notebook_is_no_problem(self, tmp_path: Path) -> None:
        assert not settled(tmp_path, {"ada.ipynb": FULL, "ada.html": b"<html>"}).problems

    def test_repositories_as_gh_classroom_clones_them(self, tmp_path: Path) -> None:
        """Whatever else lies in them; a folder of the same name elsewhere is another student's."""
        rest = {"README.md": b"# a", "tests/test_a.py": b"", "a-Copy1.ipynb": STARTER, "docs/notes.md": b""}
        members = {
            f"two-submissions/two-{name}/{file}": content
            for name in ("ada", "bob-two-2", "two")
            for file, content in {**rest, ".github/workflows/a.yml": b"", "a.ipynb": FULL}.items()
        }
        (tmp_path / "clones").mkdir()
        (tmp_path / "nested").mkdir()
        nested = {f"{name}/hw/{file}": FULL for name in ("ada", "bob") for file in (".git/HEAD", "a.ipynb")}

        roster = settled(tmp_path / "clones", members)

        assert chosen(roster).keys() == {"ada", "bob-two-2", "two"}
        assert all(name.endswith("/a.ipynb") for name in chosen(roster).values())
        assert not serious(roster)
        assert chosen(settled(tmp_path / "nested", nested)).keys() == {"ada/hw", "bob/hw"}

    def test_a_class_in_one_repository_is_still_a_class(self, tmp_path: Path) -> None:
        """Whether the top or a single folder is the checkout."""
        for inside in ("", "course/"):
            files = {f"{inside}.git/HEAD": b"", f"{inside}work/ada.ipynb": FULL, f"{inside}work/bob.ipynb": FULL}
            (folder := tmp_path / f"x{inside}").mkdir()

            assert len(settled(folder, files).received) == 2

    @pytest.mark.parametrize("platform", ["canvas", "moodle", "gradescope", "nbgrader", "repositories"])
    def test_a_platform_that_did_not_name_the_files(self, tmp_path: Path, platform: str) -> None:
        with pytest.raises(UsageError, match=f"not look like a download for --platform {platform}"):
            settled(tmp_path, {"ada.ipynb": FULL}, platform=platform)

    @pytest.mark.parametrize("platform", PLACES)
    def test_plain_is_plain(self, tmp_path: Path, platform: str) -> None:
        """Every file is a student's then, whatever it is called."""
        members = PLACES[platform]("a.ipynb", FULL)
        roster = settled(tmp_path, members, platform="plain")

        assert len(roster.received) == sum(name.endswith(".ipynb") for name in members)


NAMES = st.text(st.characters(categories=("L", "N"), include_characters="_-. ,'"), min_size=1, max_size=12).filter(
    lambda name: name.strip(" .") == name and not name.startswith("~")
)
IDS = st.lists(st.integers(1, 10**7), min_size=1, max_size=6, unique=True)


class TestAsManyStudentsComeOutAsWentIn:
    """For any names: of students as the platforms write them, and of files as students choose them."""

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @example(ids=[1, 2, 3, 4], names=["0"] * 6, files=["0", "0.JSON", "0.txt", "0.ipynb.json", "0", "0"], late=False)
    @given(IDS, st.lists(NAMES, min_size=6, max_size=6), st.lists(NAMES, min_size=6, max_size=6), st.booleans())
    @pytest.mark.parametrize("platform", ["canvas", "anonymous", "moodle", "moodle flat", "gradescope", "nbgrader"])
    def test_on_platforms(
        self, tmp_path: Path, platform: str, ids: list[int], names: list[str], files: list[str], late: bool
    ) -> None:
        members: dict[str, bytes] = {}
        metadata = []
        for place, (number, name, file) in enumerate(zip(ids, names, files, strict=False)):
            written = "".join(letter for letter in name.lower() if letter.isalpha()) + f"x{place}"
            mark = "_LATE" if late and place % 2 else ""
            if platform == "canvas":
                members[f"{written}{mark}_{number}_{10**7 + place}_{file}.ipynb"] = FULL
            elif platform == "anonymous":
                members[f"{'LATE_' if mark else ''}anon_{number:x}_{10**7 + place}_{file}.ipynb"] = FULL
            elif platform == "moodle":
                members[f"{name}_{number}_assignsubmission_file/{file}.ipynb"] = FULL
            elif platform == "moodle flat":
                members[f"{name}_{number}_assignsubmission_file_{file}.ipynb"] = FULL
            elif platform == "gradescope":
                metadata.append(
                    f"submission_{number}:\n  :submitters:\n  - :name: {json.dumps(name, ensure_ascii=False)}\n"
                )
                members[f"submission_{number}/{file}.ipynb"] = FULL
            else:
                members[f"submitted/{number}/two/{file}.ipynb"] = FULL
        if metadata:
            members["submission_metadata.yml"] = "".join(metadata).encode()
        content = archive_of(members)
        (tmp_path / "class.zip").write_bytes(content)

        roster = gather([tmp_path / "class.zip"]).settle("two", EXERCISES)

        assert len(roster.received) == min(len(ids), 6)
        assert not serious(roster)
        assert roster.received[0].owner.platform == platform.replace("anonymous", "canvas").split()[0]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        st.lists(NAMES, min_size=1, max_size=6, unique=True),
        st.sampled_from(
            ["{}", "2026_11_05_{}", "2026_11_{1}_{0}", "hw_2026_{1}_{0}", "week_{1}_{1}_{0}", "{}_2026_11_05"]
        )
        | st.builds("{{}}_{0}_{1}_hw".format, st.integers(0, 99), st.integers(0, 99))
        | st.builds(
            "{2}_{0}_{1}_{{}}".format, st.integers(0, 99), st.integers(0, 99), st.sampled_from(["a", "1", "A"])
        ),
        st.integers(0, 40),
    )
    @example(["alice", "bob", "carol"], "2026_11_05_{}", 0)
    def test_in_a_plain_folder(self, tmp_path: Path, names: list[str], pattern: str, first: int) -> None:
        """Also where the names contain dates, weeks and numbers."""
        files = {f"{pattern.format(name, first + place)}.ipynb": FULL for place, name in enumerate(names)}
        (tmp_path / "class.zip").write_bytes(archive_of(files))

        roster = gather([tmp_path / "class.zip"]).settle("two", EXERCISES)

        junk = {name for name in files if name.startswith((".", "~"))}
        assert len(roster.received) == len({_normal(name) for name in files} - junk)


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def test_a_class_with_dates_in_its_names(
    tmp_path: Path, notebook_of: Callable[[str], bytes], in_this_process: None, capsys: Any
) -> None:
    """Three students, a word about the doubt, and the exit code of their marks."""
    folder = tmp_path / "class"
    folder.mkdir()
    for name in ("alice", "bob", "carol"):
        (folder / f"2026_11_05_{name}.ipynb").write_bytes(notebook_of("full"))

    arguments = ["--solutions", str(SOURCE.parent), "-o", str(tmp_path / "out"), str(folder)]
    assert main(["batch", *arguments]) == 0
    said = capsys.readouterr().err
    assert "Grading 3 submissions" in said
    assert "use `--platform canvas`" in said
    assert main(["batch", "--platform", "moodle", *arguments]) == 2


def test_reading_one_students_files_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones by name are read first. When the time is up, their names decide."""
    monkeypatch.setattr(submissions, "MOST_READ_S", -1.0)
    monkeypatch.setattr(submissions, "read_alone", None)

    work = {
        "Ada Lovelace_12_assignsubmission_file/a.ipynb": FULL,
        "Ada Lovelace_12_assignsubmission_file/b.ipynb": FULL,
    }
    roster = settled(tmp_path, work, packed=True)

    assert len(roster.received) == 1


def test_folders_in_each_other_by_the_thousand_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository or an archive of one student may have them. A walk through them would recurse too deep."""
    (tmp_path / "ada.ipynb").write_bytes(FULL)
    (tmp_path / "bob").mkdir()
    monkeypatch.chdir(tmp_path / "bob")
    for _ in range(1_500):
        Path("d").mkdir()
        os.chdir("d")

    found = gather([tmp_path])

    assert [received.name for received in found.received] == ["ada.ipynb"]
    assert ["more than 100 folders" in problem.message for problem in found.problems] == [True]
    assert choose_file(tmp_path, "two", EXERCISES).name == "ada.ipynb"
    subprocess.run(["rm", "-rf", tmp_path / "bob"], check=True)  # pytest would recurse, too
