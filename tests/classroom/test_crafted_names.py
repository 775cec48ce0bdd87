"""What one student names a file or a folder changes nothing for the others, on any platform."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grader.classroom.archives import HANDED_IN_LIMIT
from grader.classroom.outputs import name_reports
from grader.classroom.records import Owner
from grader.classroom.submissions import find_submissions
from grader.errors import UsageError
from tests.classroom.class_samples import received_of

HOSTILE = b"hostile"
METADATA = b"""submission_1:
  :submitters:
  - :name: Ada
    :sid: ''
    :email: ada@x.org
submission_2:
  :submitters:
  - :name: Grace
    :sid: '77'
    :email: grace@x.org
submission_3:
  :submitters:
  - :name: Mallory
    :sid: SID
    :email: mallory@x.org
"""

CLASSES: dict[str, tuple[dict[str, bytes], str]] = {
    "canvas": (
        {"lovelaceada_4021_9001_hw.ipynb": b"ada", "hoppergrace_4022_9002_hw.ipynb": b"grace"},
        "mallory_4023_{number}_{name}",
    ),
    "moodle": (
        {
            "Ada Lovelace_12_assignsubmission_file/hw.ipynb": b"ada",
            "Grace Hopper_13_assignsubmission_file/hw.ipynb": b"grace",
        },
        "Mallory_14_assignsubmission_file/{name}",
    ),
    "moodle, flat": (
        {
            "Ada Lovelace_12_assignsubmission_file_hw.ipynb": b"ada",
            "Grace Hopper_13_assignsubmission_file_hw.ipynb": b"grace",
        },
        "Mallory_14_assignsubmission_file_{name}",
    ),
    "gradescope": (
        {
            "x/submission_metadata.yml": METADATA.replace(b"SID", b"'78'"),
            "x/submission_1/hw.ipynb": b"ada",
            "x/submission_2/hw.ipynb": b"grace",
        },
        "x/submission_3/{name}",
    ),
    "nbgrader": (
        {"submitted/ada/hw/hw.ipynb": b"ada", "submitted/grace/hw/hw.ipynb": b"grace"},
        "submitted/mallory/hw/{name}",
    ),
    "repositories": (
        {
            "hw-submissions/hw-ada/.git/config": b"",
            "hw-submissions/hw-ada/hw.ipynb": b"ada",
            "hw-submissions/hw-grace/.git/config": b"",
            "hw-submissions/hw-grace/hw.ipynb": b"grace",
            "hw-submissions/hw-mallory/.git/config": b"",
        },
        "hw-submissions/hw-mallory/{name}",
    ),
    "folders": ({"ada/hw.ipynb": b"ada", "grace/hw.ipynb": b"grace"}, "mallory/{name}"),
    "plain": ({"ada.ipynb": b"ada", "grace.ipynb": b"grace", "carl.ipynb": b"carl"}, "mallory {name}"),
}
"""Of each platform, the files of a class, and how it names a file that a third student handed in."""

NAMES = [
    "1_assignsubmission_file_hw.ipynb",
    "1_assignsubmission_file/hw.ipynb",
    "Ada Lovelace_12_assignsubmission_file/hw.ipynb",
    "Ada Lovelace_12_assignsubmission_file_hw.ipynb",
    "lovelaceada_4021_9001_hw.ipynb",
    "hoppergrace_4022_9009_hw.ipynb",
    "x\\lovelaceada_4021_9010_hw.ipynb",
    "..\\lovelaceada_4021_9001_hw.ipynb",
    "../ada/hw.ipynb",
    "../../ada.ipynb",
    "0_0_hw.ipynb",
    "_LATE_4021_9001_hw.ipynb",
    "anon_x_LATE_9001_hw.ipynb",
    "LATE_anon_x_9001_hw.ipynb",
    "submission_metadata.yml",
    "submission_1/hw.ipynb",
    "submitted/ada/hw/hw.ipynb",
    "submitted/ada/other/hw.ipynb",
    "ada/hw/hw.ipynb",
    "timestamp.txt",
    "timestamp.txt/hw.ipynb",
    ".git/config",
    ".github/x.ipynb",
    "a/.git/config",
    "a/.github/hw.ipynb",
    ".classroom50.yaml",
    "ada.ipynb",
    "ADA.ipynb",
    "ada.ipynb ",
    "ada.ipynb.",
    "ada\u00a0.ipynb",
    "\u202eada.ipynb",
    "e\u0301.ipynb",
    "\u00e9.ipynb",
    "con.ipynb",
    "index.ipynb",
    "gradebook.db",
    "hw.zip",
    "_text.html",
    "onlinetext.html",
    "__MACOSX/hw.ipynb",
    "readme.md",
    "-rf.ipynb",
    "C:hw.ipynb",
]
ANY_NAME = st.lists(
    st.sampled_from(
        [
            *"_/\\. :a1\u0301\u00e9",
            "_1_2_",
            "assignsubmission_file",
            ".git/",
            "..",
            ".ipynb",
            "ada",
            "4021",
            "submitted/",
        ]
    ),
    max_size=8,
).map(lambda parts: "".join(parts) + ".ipynb")


def found_in(path: Path) -> Iterator[tuple[Owner, object, str]]:
    """The rows of a class but those of the hostile student: the owner, what is graded, and the report's name."""
    try:
        roster = find_submissions([path])
    except UsageError as error:
        raise AssertionError("the class fails") from error
    stems = name_reports(roster.received)
    for each in roster.received:
        content = each.file.read()
        if content != HOSTILE:
            yield each.owner, content, stems[each.owner]


def handed_in(pattern: str, names: list[str]) -> dict[str, bytes]:
    """The hostile student's files, as the platform names them. Canvas has no folders, and no file has a slash."""
    if "/" not in pattern:
        names = [name.replace("/", "_") for name in names]
    return {pattern.format(name=name, number=9010 + number): HOSTILE for number, name in enumerate(names)}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("kind", CLASSES)
def test_names_from_a_list(kind: str, tmp_path: Path) -> None:
    """Each alone, and all of them together."""
    members, pattern = CLASSES[kind]
    known = set(found_in(zipped(tmp_path / "known.zip", members)))
    assert len(known) >= 2
    for number, names in enumerate([*([name] for name in NAMES), NAMES]):
        added = handed_in(pattern, names)
        path = zipped(tmp_path / f"{number}.zip", added | members)
        assert set(found_in(path)) == known, names


@pytest.mark.parametrize("kind", CLASSES)
@settings(max_examples=60, deadline=None)
@given(names=st.lists(ANY_NAME, min_size=1, max_size=6))
@example(names=["1_assignsubmission_file_hw.ipynb"] * 1)
def test_any_names(kind: str, names: list[str]) -> None:
    members, pattern = CLASSES[kind]
    added = handed_in(pattern, names)
    with tempfile.TemporaryDirectory() as folder:
        known = set(found_in(zipped(Path(folder, "known.zip"), members)))
        assert set(found_in(zipped(Path(folder, "a.zip"), added | members))) == known


@pytest.mark.parametrize("number", ["4021_5", "0_5", "4021_9001", "1_2"])
def test_a_students_name_with_numbers_in_it(number: str, tmp_path: Path) -> None:
    """Canvas writes a student's name before its numbers. A name with numbers is nobody else's id."""
    members, _ = CLASSES["canvas"]
    known = set(found_in(zipped(tmp_path / "known.zip", members)))
    path = zipped(tmp_path / "a.zip", {f"x_{number}_4023_9003_hw.ipynb": HOSTILE} | members)

    assert set(found_in(path)) == known
    assert all(
        each.owner.student not in ("4021", "4022")
        for each in find_submissions([path]).received
        if each.file.read() == HOSTILE
    )


@pytest.mark.parametrize("sid", ["ada@x.org", "ADA@X.ORG", "77", "submission_1"])
def test_an_id_that_a_student_typed(sid: str, tmp_path: Path) -> None:
    """On Gradescope: another's address, id or folder."""
    members, pattern = CLASSES["gradescope"]
    crafted = members | {"x/submission_metadata.yml": METADATA.replace(b"SID", f"{sid!r}".encode())}
    roster = find_submissions([zipped(tmp_path / "a.zip", crafted | handed_in(pattern, ["hw.ipynb"]))])

    rows = {each.owner.student: each.file.read() for each in roster.received}
    assert rows.pop("mallory@x.org") == HOSTILE
    assert sorted(map(str, rows.values())) == ["b'ada'", "b'grace'"]


def test_a_single_repository_is_no_download(tmp_path: Path) -> None:
    """Its owner could name anybody."""
    crafted = {".git/config": b"", "submission_metadata.yml": METADATA, "submission_1/hw.ipynb": HOSTILE}
    path = zipped(tmp_path / "a.zip", {f"hw-mallory/{name}": content for name, content in crafted.items()})

    assert {each.owner.platform for each in find_submissions([path]).received} == {"plain"}


@pytest.mark.parametrize("kind", ["moodle", "nbgrader", "gradescope", "folders"])
def test_more_files_than_a_class_has(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.classroom.archives.FILES_LIMIT", 100)
    members, pattern = CLASSES[kind]
    known = set(found_in(zipped(tmp_path / "known.zip", members)))
    crowd = handed_in(pattern, [f"{number}.ipynb" for number in range(HANDED_IN_LIMIT + 1)])

    assert set(found_in(zipped(tmp_path / "a.zip", crowd | members))) == known


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Two names that differ only there stay two names."""
    for byte in (b"\xe8", b"\xe9"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + byte + b".ipynb")).write_bytes(byte)

    assert len(find_submissions([tmp_path]).received) == 2


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "ada.ipynb").write_bytes(b"ada")
    make(tmp_path / "mallory.ipynb")

    assert [content for _, content, _ in found_in(tmp_path)] == [b"ada"]


@given(names=st.lists(st.text(max_size=8), unique=True, max_size=6))
@example(names=["e\u0301", "\u00e9", "E\u0301", "con", "CON.txt", "nul-2", "index", "\ufb01x", "fix"])
def test_names_of_reports(names: list[str]) -> None:
    """No two are one file on any system, and none is a device of Windows."""
    stems = list(name_reports([received_of(name) for name in names]).values())

    assert len({stem.casefold() for stem in stems}) == len(names)
    assert not {stem.partition(".")[0].casefold() for stem in stems} & {"con", "nul", "aux", "prn", "com1"}
