"""Submissions in the layouts of the platforms, and hostile ones."""

from __future__ import annotations

import io
import os
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from grader.classroom import archives
from grader.classroom.records import Received
from grader.classroom.submissions import Roster, find_submissions
from grader.errors import UsageError
from grader.model import Submission
from grader.notebook.read import FILE_LIMIT_BYTES, Unreadable

NOTEBOOK = b'{"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}'


def zipped(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unpacked(path: Path, members: dict[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def students(roster: Roster) -> dict[str, Received]:
    return {each.owner.student: each for each in roster.received}


def content_of(received: Received) -> bytes:
    submission = received.read()
    assert isinstance(submission, Submission)
    return submission.content


CANVAS = {
    "lovelaceada_4021_998877_two_layer_mse.ipynb": NOTEBOOK,
    "hoppergrace_LATE_4022_998878_two_layer_mse-1.ipynb": NOTEBOOK + b" ",
    "anon_x7Gq2_998879_mine.ipynb": NOTEBOOK,
    "anon_Kp3aZ_LATE_998881_mine.ipynb": NOTEBOOK,
    "noether_4023_998880_text.html": b"<p>I could not do it</p>",
    "lovelaceada_4021_998870_two_layer_mse.ipynb": b"older",
}
MOODLE = {
    "Ada Lovelace_12345_assignsubmission_file/two_layer_mse.ipynb": NOTEBOOK,
    "Grace Hopper_12346_assignsubmission_file_/work/two_layer_mse.ipynb": NOTEBOOK,
    "Émilie du Châtelet_12347_assignsubmission_file_two_layer_mse.ipynb": NOTEBOOK,
    "Emmy Noether_12348_assignsubmission_onlinetext/onlinetext.html": b"words",
}
GRADESCOPE = {
    "assignment_9100_export/submission_metadata.yml": b"""\
submission_1:
  :submitters:
  - :name: Ada Lovelace
    :sid: "30001"
    :email: ada@example.edu
  - :name: Grace Hopper
    :sid: 30002
    :email: grace@example.edu
  :created_at: 2026-02-01 10:00:00 +0000
submission_2:
  :submitters:
  - :name: Ada Lovelace
    :sid: "30001"
  :created_at: 2026-01-01 10:00:00 +0000
submission_3:
  :submitters:
  :created_at: 2026-01-01 10:00:00 +0000
""",
    "assignment_9100_export/submission_1/assignment.ipynb": NOTEBOOK,
    "assignment_9100_export/submission_2/assignment.ipynb": b"older",
    "assignment_9100_export/submission_3/assignment.ipynb": NOTEBOOK,
}
NBGRADER = {
    "submitted/ada/two_layer_mse/two_layer_mse.ipynb": NOTEBOOK,
    "submitted/ada/two_layer_mse/timestamp.txt": b"2026-02-02 15:58:23.948203 America/Los_Angeles",
    "submitted/grace/two_layer_mse/two_layer_mse.ipynb": NOTEBOOK,
    "release/two_layer_mse/two_layer_mse.ipynb": NOTEBOOK,
}


@pytest.mark.parametrize("make", [zipped, unpacked])
class TestPlatforms:
    def test_canvas(self, tmp_path: Path, make) -> None:
        roster = find_submissions([make(tmp_path / "submissions.zip", CANVAS)])

        found = students(roster)
        assert found.keys() == {"4021", "4022", "anon_x7Gq2", "anon_Kp3aZ"}
        assert {each.owner.platform for each in roster.received} == {"canvas"}
        assert found["4022"].is_late
        assert found["anon_Kp3aZ"].is_late
        assert not found["4021"].is_late
        assert content_of(found["4021"]) == NOTEBOOK
        assert found["4021"].name == "two_layer_mse.ipynb"
        assert found["4021"].display == "lovelaceada"
        assert found["4021"].give_back == "lovelaceada_4021_998877_two_layer_mse.html"
        assert [(each.student, each.is_serious) for each in roster.problems] == [("4023", True), ("4021", False)]

    def test_moodle(self, tmp_path: Path, make) -> None:
        roster = find_submissions([make(tmp_path / "course-mnist-77.zip", MOODLE)])

        found = students(roster)
        assert found.keys() == {"12345", "12346", "12347"}
        assert found["12347"].display == "Émilie du Châtelet"
        assert found["12345"].give_back == "Ada Lovelace_12345_assignsubmission_file/feedback.html"
        assert found["12346"].give_back == "Grace Hopper_12346_assignsubmission_file_/feedback.html"
        assert found["12347"].give_back == "Émilie du Châtelet_12347_assignsubmission_file_feedback.html"
        assert [each.student for each in roster.problems] == ["12348"]

    def test_moodle_that_was_packed_again(self, tmp_path: Path, make) -> None:
        """A folder that was unpacked and packed once more is in the archive, with everything in it."""
        again = {f"course-mnist-77/{name}": content for name, content in MOODLE.items()}

        found = students(find_submissions([make(tmp_path / "again.zip", again)]))

        assert found.keys() == {"12345", "12346", "12347"}
        assert {each.owner.platform for each in found.values()} == {"moodle"}
        assert found["12345"].give_back == "Ada Lovelace_12345_assignsubmission_file/feedback.html"

    def test_gradescope(self, tmp_path: Path, make) -> None:
        roster = find_submissions([make(tmp_path / "export.zip", GRADESCOPE)])

        found = students(roster)
        assert found.keys() == {"30001", "30002", "submission_3"}
        assert content_of(found["30001"]) == NOTEBOOK
        assert found["30001"].display == "Ada Lovelace"
        assert [each.is_serious for each in roster.problems] == [False]

    def test_nbgrader(self, tmp_path: Path, make) -> None:
        roster = find_submissions([make(tmp_path / "course.zip", NBGRADER)])

        found = students(roster)
        assert found.keys() == {"ada", "grace"}
        assert found["ada"].give_back == "feedback/ada/two_layer_mse/two_layer_mse.html"

    def test_plain(self, tmp_path: Path, make) -> None:
        files = {
            "alice.ipynb": NOTEBOOK,
            "bob.py": b"x = 1",
            "README.md": b"#",
            "notes.txt": b"",
            "b/alice.ipynb": b"{}",
        }

        roster = find_submissions([make(tmp_path / "class.zip", files)])

        assert students(roster).keys() == {"alice", "bob", "b/alice"}
        assert not roster.problems


def test_an_nbgrader_course_with_several_assignments(tmp_path: Path) -> None:
    course = unpacked(tmp_path, NBGRADER | {"submitted/ada/other/other.ipynb": NOTEBOOK})

    assert len(find_submissions([course / "submitted"], assignment_id="two_layer_mse").received) == 2
    with pytest.raises(UsageError, match="several assignments: other, two_layer_mse"):
        find_submissions([course])


def test_of_several_sources_the_newest_submission_counts(tmp_path: Path) -> None:
    first = zipped(
        tmp_path / "week1.zip", {"lovelaceada_4021_1_a.ipynb": b"old", "hoppergrace_4022_2_a.ipynb": b"hers"}
    )
    second = zipped(tmp_path / "week2.zip", {"lovelaceada_LATE_4021_7_a-1.ipynb": b"new"})
    alone = tmp_path / "s1001.ipynb"
    alone.write_bytes(NOTEBOOK)

    for order in ([first, second, alone], [alone, second, first]):
        found = students(find_submissions(order))

        assert found.keys() == {"4021", "4022", "s1001"}
        assert content_of(found["4021"]) == b"new"
        assert found["4021"].is_late


def test_a_notebook_counts_before_its_text_form_and_scripts(tmp_path: Path) -> None:
    unpacked(tmp_path, {"alice.ipynb": NOTEBOOK, "alice.md": b"# text", "alice.py": b"x"})
    os.utime(tmp_path / "alice.ipynb", (0, 0))

    roster = find_submissions([tmp_path])

    assert [each.name for each in roster.received] == ["alice.ipynb"]
    assert [each.is_serious for each in roster.problems] == [False, False]


@pytest.mark.parametrize("name", ["missing", "empty_folder", "no.zip"])
def test_no_submission_at_all(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty_folder").mkdir()
    (tmp_path / "no.zip").write_bytes(b"PK no archive")

    with pytest.raises(UsageError, match=name):
        find_submissions([tmp_path / name])


def test_only_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"2 files could not be read; the first is ada_4021_2_x\.pdf"):
        find_submissions([zipped(tmp_path / "a.zip", {"noether_4023_1_essay.pdf": b"", "ada_4021_2_x.pdf": b""})])


def test_a_damaged_source_does_not_hide_the_others(tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(zipped(tmp_path / "whole.zip", CANVAS).read_bytes()[:-30])

    roster = find_submissions([broken, tmp_path / "whole.zip"])

    assert len(roster.received) == 4
    assert roster.problems[0].where == str(broken)
    assert "is not a zip archive" in roster.problems[0].message


def archive_of(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_archives_that_students_handed_in(tmp_path: Path) -> None:
    """Its notebook counts as if it had been handed in itself; feedback goes to where the archive came from."""
    work = archive_of({"work/two_layer_mse.ipynb": NOTEBOOK, "work/data.csv": b"1", "__MACOSX/._x.ipynb": b""})
    sources = [
        zipped(tmp_path / "canvas.zip", CANVAS | {"lovelaceada_4021_999999_work-2.zip": work}),
        zipped(tmp_path / "moodle.zip", {"Ada Lovelace_12345_assignsubmission_file/work.zip": work}),
        zipped(tmp_path / "plain.zip", {"zoe.zip": work, "alice.ipynb": NOTEBOOK}),
    ]

    roster = find_submissions(sources)

    found = students(roster)
    assert found.keys() == {"4021", "4022", "anon_x7Gq2", "anon_Kp3aZ", "12345", "zoe", "alice"}
    for student, name in (("4021", "lovelaceada_4021_999999_work-2.html"), ("12345", None), ("zoe", "")):
        assert content_of(found[student]) == NOTEBOOK
        assert found[student].name == "two_layer_mse.ipynb"
        assert found[student].give_back == (
            "Ada Lovelace_12345_assignsubmission_file/feedback.html" if name is None else name
        )


def test_archives_that_are_not_submissions(tmp_path: Path) -> None:
    """Damaged, empty and nested archives, a whole class, and names that lead out of the archive."""
    several = archive_of({"a.ipynb": NOTEBOOK, "b.ipynb": NOTEBOOK})
    files = {
        "class.zip": several,
        "damaged.zip": several[:-30],
        "empty.zip": archive_of({"notes.txt": b""}),
        "good.ipynb": NOTEBOOK,
        "nested.zip": archive_of({"again.zip": several}),
        "out.zip": archive_of({"../up.ipynb": NOTEBOOK}),
        "swarm.zip": archive_of({f"{number}.ipynb": b"" for number in range(1_001)}),
    }

    roster = find_submissions([unpacked(tmp_path, files)])

    assert students(roster).keys() == {"good"}
    assert {problem.where: problem.message.partition(".")[0] for problem in roster.problems} == {
        "class.zip": "It contains several notebooks",
        "damaged.zip": "It is not a zip archive that can be read (File is not a zip file)",
        "empty.zip": "There is no notebook in the archive",
        "nested.zip": "There is no notebook in the archive",
        "out.zip/../up.ipynb": "Its name leads out of the archive, so it was not read",
        "swarm.zip": "It contains more than 1,000 files",
    }


def crowded(entries: int) -> bytes:
    """An archive of files without content, whose names nobody looks at: 47 bytes for each, before compression."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, *[0] * 4, 33, *[0] * 3, 1, *[0] * 6) + b"~"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, entries & 0xFFFF, entries & 0xFFFF, len(entry) * entries, 0, 0)
    return entry * entries + end


class TestHostile:
    def test_an_archive_of_too_many_files_is_not_listed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process of the class would list them, and needs ten times the archive's size in memory for that."""
        monkeypatch.setattr(archives, "MEMBERS_LIMIT", 1_000)
        few, many = crowded(1_000), crowded(200_000)
        members = {"few.zip": few, "many.zip": many, "good.ipynb": NOTEBOOK}
        source = zipped(tmp_path / "a.zip", members)
        assert source.stat().st_size < len(many) / 50

        tracemalloc.start()
        try:
            roster = find_submissions([source])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert students(roster).keys() == {"good"}
        assert {problem.where: problem.message.partition(".")[0] for problem in roster.problems} == {
            "few.zip": "There is no notebook in the archive",
            "many.zip": "It contains more than 1,000 files",
        }
        assert peak < 4 * len(many)

    def test_names_that_lead_out(self, tmp_path: Path) -> None:
        names = ["../up.ipynb", "/etc/root.ipynb", "a/../../b.ipynb", "C:/x.ipynb", "..\\windows.ipynb"]

        roster = find_submissions([zipped(tmp_path / "a.zip", dict.fromkeys([*names, "good.ipynb"], NOTEBOOK))])

        assert students(roster).keys() == {"good"}
        assert len(roster.problems) == len(names)
        assert all("leads out" in problem.message for problem in roster.problems)

    def test_links(self, tmp_path: Path) -> None:
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(link, "/etc/passwd")
            archive.writestr("good.ipynb", NOTEBOOK)
        folder = unpacked(tmp_path / "folder", {"good.ipynb": NOTEBOOK})
        (folder / "link.ipynb").symlink_to("/etc/passwd")
        (folder / "everything").symlink_to("/")
        os.mkfifo(folder / "pipe.ipynb")

        for source, refused in ((tmp_path / "a.zip", 1), (folder, 3)):
            roster = find_submissions([source])

            assert students(roster).keys() == {"good"}
            assert len(roster.problems) == refused

    def test_a_file_that_becomes_a_link(self, tmp_path: Path) -> None:
        unpacked(tmp_path, {"alice.ipynb": NOTEBOOK})
        received = find_submissions([tmp_path]).received[0]
        (tmp_path / "alice.ipynb").unlink()
        (tmp_path / "alice.ipynb").symlink_to("/etc/passwd")

        assert isinstance(received.read(), Unreadable)

    def test_a_bomb_is_read_to_the_limit(self, tmp_path: Path) -> None:
        roster = find_submissions([zipped(tmp_path / "a.zip", {"bomb.ipynb": bytes(200 * 2**20)})])

        assert len(content_of(roster.received[0])) == FILE_LIMIT_BYTES + 1

    def test_a_wrong_size(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "a.zip", {"liar.ipynb": NOTEBOOK, "good.ipynb": NOTEBOOK})
        content = bytearray(path.read_bytes())
        place = content.index(b"PK\1\2")
        content[place + 24 : place + 28] = struct.pack("<I", 5)
        path.write_bytes(content)

        found = students(find_submissions([path]))

        assert content_of(found["good"]) == NOTEBOOK
        assert isinstance(found["liar"].read(), Unreadable)

    def test_a_null_character_in_a_name(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "a.zip", {"alice_ipynb.ipynb": NOTEBOOK, "good.ipynb": NOTEBOOK})
        path.write_bytes(path.read_bytes().replace(b"alice_ipynb", b"alice\0ipynb"))

        roster = find_submissions([path])

        assert students(roster).keys() == {"good"}
        assert "null character" in roster.problems[0].message

    @pytest.mark.parametrize("name", [b"\0lice_ipynb", b"\0\0\0\0\0\0\0\0\0\0\0", b"folder/\0.py"])
    def test_a_name_of_which_nothing_is_left(self, tmp_path: Path, name: bytes) -> None:
        """`zipfile` cuts names at a null character. Nor does an archive that one student handed in end the class."""
        inner = zipped(tmp_path / "inner.zip", {"alice_ipynb": NOTEBOOK, "a.ipynb": NOTEBOOK})
        inner.write_bytes(inner.read_bytes().replace(b"alice_ipynb", name.ljust(11, b"x")))
        path = zipped(tmp_path / "a.zip", {"bad.zip": inner.read_bytes(), "good.ipynb": NOTEBOOK})

        assert "good" in students(find_submissions([path]))
        assert find_submissions([inner]).received

    def test_a_member_without_a_name(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "a.zip", {"good.ipynb": NOTEBOOK})
        nameless = zipfile.ZipInfo("a")
        nameless.filename = ""
        with zipfile.ZipFile(path, "a") as archive, archive.open(nameless, "w") as member:
            member.write(NOTEBOOK)

        assert students(find_submissions([path])).keys() == {"good"}

    def test_damaged_encrypted_and_unusual_members(self, tmp_path: Path) -> None:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("damaged.ipynb", NOTEBOOK)
            archive.writestr("secret.ipynb", NOTEBOOK)
            archive.writestr("lzma.ipynb", NOTEBOOK, zipfile.ZIP_LZMA)
            archive.writestr("good.ipynb", NOTEBOOK)
        content = bytearray(path.read_bytes())
        content[content.index(NOTEBOOK) + 3] ^= 1
        place = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
        content[place + 8] |= 1
        path.write_bytes(content)

        roster = find_submissions([path])

        found = students(roster)
        assert found.keys() == {"damaged", "good"}
        assert isinstance(found["damaged"].read(), Unreadable)
        assert {problem.where: problem.message.split()[2] for problem in roster.problems} == {
            "secret.ipynb": "encrypted.",
            "lzma.ipynb": "compressed",
        }

    def test_two_files_with_the_same_name(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("alice.ipynb", b"first")
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("alice.ipynb", b"second")

        roster = find_submissions([tmp_path / "a.zip"])

        assert content_of(roster.received[0]) == b"second"
        assert len(roster.problems) == 1

    def test_names_in_utf8_without_the_flag(self, tmp_path: Path) -> None:
        """As macOS packs them: decomposed, and in UTF-8 without the flag for it."""
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("e\u0301tude.ipynb"), NOTEBOOK)
        content = bytearray(path.read_bytes())
        for sign, place in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
            content[content.index(sign) + place] &= ~8
        path.write_bytes(content)

        found = students(find_submissions([path]))

        assert found.keys() == {"étude"}
        assert content_of(found["étude"]) == NOTEBOOK

    def test_names_that_are_not_unicode(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"\xff\xfe.ipynb")).write_bytes(NOTEBOOK)

        roster = find_submissions([tmp_path])

        assert roster.received[0].owner.student.encode("utf-8")

    def test_junk_is_ignored(self, tmp_path: Path) -> None:
        junk = ["__MACOSX/._alice.ipynb", ".ipynb_checkpoints/alice-checkpoint.ipynb", "~lock.ipynb", ".DS_Store"]

        roster = find_submissions([zipped(tmp_path / "a.zip", dict.fromkeys([*junk, "alice.ipynb"], NOTEBOOK))])

        assert students(roster).keys() == {"alice"}
        assert not roster.problems

    def test_a_student_cannot_impersonate_another(self, tmp_path: Path) -> None:
        """The names that students choose are to the right of the names that the platform gives."""
        moodle = {
            "Ada Lovelace_1_assignsubmission_file/Grace Hopper_2_assignsubmission_file/a.ipynb": NOTEBOOK,
            "Ada Lovelace_1_assignsubmission_file/submission_metadata.yml": b"{}",
        }
        canvas = {"lovelaceada_1_10_hoppergrace_2_99_a.ipynb": NOTEBOOK, "x_LATE_3_11_a.ipynb": NOTEBOOK}

        assert students(find_submissions([zipped(tmp_path / "m.zip", moodle)])).keys() == {"1"}
        assert students(find_submissions([zipped(tmp_path / "c.zip", canvas)])).keys() == {"1", "3"}

    @pytest.mark.parametrize(
        "metadata", [b"- a", b"a: [", b"\xff\xfe", b"submission_1: {':submitters': 3}", b"x: !!python/name:os.system"]
    )
    def test_invalid_metadata(self, tmp_path: Path, metadata: bytes) -> None:
        files = {"submission_metadata.yml": metadata, "submission_1/a.ipynb": NOTEBOOK}

        roster = find_submissions([zipped(tmp_path / "a.zip", files)])

        assert students(roster).keys() == {"submission_1"}

    @pytest.mark.parametrize("cut", range(0, 400, 7))
    def test_an_archive_cut_anywhere(self, tmp_path: Path, cut: int) -> None:
        whole = zipped(tmp_path / "a.zip", CANVAS).read_bytes()
        (tmp_path / "a.zip").write_bytes(whole[: len(whole) - cut] if cut % 2 else whole[:200] + whole[200 + cut :])

        try:
            roster = find_submissions([tmp_path / "a.zip"])
        except UsageError:
            return
        for each in roster.received:
            each.read()
