"""
Makes a course whose class has hostile students among right ones, grades it by `grader batch`, and says what went wrong.

The notebooks of hostile students are in `tests/corpus/hostile_class`; crafted files and names of files are made here.
The first line of a notebook there says which exercises may be lost: `# Costs: grad_b1`, `nothing` or `everything`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat

from grader.assignment.load import load_assignment
from grader.reference.cases import build_cases
from grader.reference.practice import build_practice
from grader.sandbox import level_of
from tests.conftest import ROOT, SOURCE, handed_in
from tests.sandbox.test_places import AS_USER, NO_NAMESPACES, interpreter

__all__ = ["LEVELS", "USERS", "Course", "Graded", "course_for", "grade_class", "reports", "wrongs"]

HOSTILE = ROOT / "tests" / "corpus" / "hostile_class"
USERS = {"the caller": [], "an ordinary user": AS_USER}
LEVELS = {"isolated": [], "filtered": NO_NAMESPACES}
ORDINARY_USER = 54321
RIGHT = 20
SEED = 73_194_026
LIMITS = {
    "cell_s": 4.0,
    "notebook_s": 10.0,
    "call_s": 3.0,
    "cell_cpu_s": 2.0,
    "call_cpu_s": 2.0,
    "cpu_s": 20,
    "memory_mib": 1024,
    "scratch_mib": 64,
    "file_size_mib": 32,
}
KEY = re.compile(r"KEY-[a-z]+-[0-9a-f]{8}")
NEVER = ("FOUND", str(SEED))
"""What notebooks say if they have found something; and the hidden seed."""


@dataclasses.dataclass(frozen=True)
class Course:
    """
    The folder of a course: sources, the class, and where reports go.

    Attributes:
        right: The names of the students whose notebooks are right, with what only their notebook says.
        hostile: The costs that each hostile notebook may have, by its student.
    """

    folder: Path
    right: dict[str, str]
    hostile: dict[str, str]

    @property
    def output(self) -> Path:
        return self.folder / "out"


@dataclasses.dataclass(frozen=True)
class Graded:
    """How `grader batch` has ended, and how long it took."""

    code: int
    stdout: bytes
    stderr: bytes
    seconds: float


def make_course(folder: Path, *, only: Sequence[str] = (), right: int = RIGHT) -> Course:
    """
    Make a course.

    Args:
        only: If given, the beginnings of the names of those hostile notebooks that are in the class; `files` for the
            crafted files and names.
        right: How many right notebooks are among them.
    """
    (folder / "class").mkdir(parents=True)
    (folder / "tmp").mkdir()
    _make_secrets(folder)
    students = dict(_right_notebooks(folder / "class", right))
    hostile = {}
    for path in sorted(HOSTILE.glob("*.py")):
        if not only or path.name.startswith(tuple(only)):
            text = path.read_text(encoding="utf-8")
            hostile[path.stem] = text.partition("\n")[0].removeprefix("# Costs: ")
            answers = text.replace("@COURSE@", str(folder)).replace("@PID@", str(os.getpid()))
            nbformat.write(handed_in(answers), folder / "class" / f"{path.stem}.ipynb")
    if not only or "files" in only:
        _make_files(folder / "class")
        _make_names(folder / "class")
    return Course(folder, students, hostile)


def _make_secrets(folder: Path) -> None:
    """The source notebook with limits that end soon, and what else lies about in the folder of a course."""
    (folder / "solutions").mkdir()
    text = SOURCE.read_text(encoding="utf-8")
    text = re.sub(r"hidden_seed: \d+", f"hidden_seed: {SEED}\n  limits: {json.dumps(LIMITS)}", text)
    text = text.replace("### BEGIN SOLUTION", f"### BEGIN SOLUTION\n    # {_key('solution')}")
    (folder / "solutions" / SOURCE.name).write_text(text, encoding="utf-8")
    for name in (
        ".git/HEAD",
        ".git/objects/aa/bb",
        f"solutions/.{SOURCE.name}.swp",
        f"solutions/{SOURCE.name}~",
        "solutions/__pycache__/x.pyc",
        "solutions/.ipynb_checkpoints/x.ipynb",
        "out/gradebook-before.csv",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(_key("course"))


def _key(kind: str) -> str:
    return f"KEY-{kind}-{secrets.token_hex(4)}"


def _right_notebooks(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Right answers of the corpus, each with a word of its own, by students whose names only these files say."""
    found = sorted((ROOT / "tests" / "corpus" / SOURCE.stem).glob("ok_*/answers.py"))
    for number in range(count):
        answers = found[number % len(found)].read_text(encoding="utf-8")
        student, word = f"quill{number:02}", _key("student")
        notebook = handed_in(f"# %%\nword = '{word}'\n{answers}")
        nbformat.write(notebook, folder / f"{student}.ipynb")
        yield student, word


def _make_files(folder: Path) -> None:
    """Files that are no notebooks as anybody writes them: each has a reader, or a program, for its target."""
    answers = nbformat.writes(handed_in("")).encode()
    text = "def grad_b1(dz1):\n    return dz1.sum(0, keepdim=True)\n"
    for number, name in enumerate(("quarto", "marimo", "pandoc", "sphinx", "../../bin/sh", "!!python/name:os.system")):
        header = (
            f"# ---\n# jupyter:\n#   jupytext:\n#     text_representation:\n#       extension: .py\n"
            f"#       format_name: {name}\n#     cell_markers: '((a+)+)+$,(b|b)*$'\n#     main_language: bash\n"
            f"#   kernelspec: {{name: 'x; touch /tmp/owned', argv: [touch, /tmp/owned]}}\n# ---\n"
        )
        (folder / f"formats_header_{number}.py").write_text(header + text)
    anchors = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    tags = "jupyter: !!python/object/apply:os.system ['touch /tmp/owned']\njupytext: {<<: *i, formats: *i}\n"
    (folder / "formats_aliases.md").write_text(f"---\n{anchors}{tags}---\n\n```{{code-cell}}\n{text}```\n")
    (folder / "formats_fences.md").write_text("`" * 100_000 + "{code-cell}\n" + "~~~\n```\n" * 20_000 + text)
    (folder / "formats_deep.ipynb").write_bytes(
        b'{"cells": [{"cell_type": "code", "source": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]}"
    )
    (folder / "formats_numbers.ipynb").write_bytes(
        answers.replace(b'"nbformat": 4', b'"nbformat": 1' + b"0" * 400_000 + b', "nbformat": 4, "nbformat": NaN')
    )
    bombs = [
        "(" * 90 + "x for" + ")" * 90,
        "f'" + '{f"' * 30 + "{x" + "}" * 10,
        "a" + " if a else b" * 3_000,
        "not " * 20_000 + "x",
        "lambda: " * 3_000 + "0",
        "x = " * 20_000 + "0",
        "{**" * 60 + "a b" + "}" * 60,
        "9" * 1_000_000,
        "'a' " * 50_000,
        "[x" + " for x in y" * 3_000 + "]",
        "match x:\n    case " + "|".join(f"[{n}, *_]" for n in range(5_000)) + ": pass",
        "def f(" + ", ".join(f"a{n}: b" for n in range(20_000)) + "): pass",
        "@a\n" * 20_000 + "def f(): pass",
        "\n".join(f"%timeit -n {n} x" for n in range(100)),
        "(((((((((((((((((((((((((((((((((((((((((((lambda *, **: (",
        "with " + ", ".join("a as b" for _ in range(10_000)) + ": pass",
        "\\\n" * 50_000 + "x",
        "x.y" * 20_000,
        "\udcff\ud800",
    ]
    notebook = handed_in("")
    for bomb in bombs:
        notebook.cells.insert(1, {"cell_type": "code", "source": bomb, "metadata": {}, "outputs": []})
    (folder / "formats_parser.ipynb").write_text(json.dumps(notebook), encoding="ascii")
    (folder / "formats_half_characters.ipynb").write_bytes("﻿".encode("utf-16") + b"\xd8" * 1_000_001)
    with zipfile.ZipFile(folder / "formats_archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("../../quill00.ipynb", "/tmp/owned", "a/\x1b[2J::error::x.ipynb", "quill00.ipynb"):
            archive.writestr(name, b"{}" + b"\0" * (40 << 20))
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, f"../../solutions/{SOURCE.name}")


def _make_names(folder: Path) -> None:
    """Names that are commands to terminals, logs, spreadsheets and programs, or that of somebody or something else."""
    content = nbformat.writes(handed_in("", base="blank")).encode()
    for name in (
        "names_\x1b]0;owned\x07\x1b[2J",
        "names_\n::error file=x::owned\n##vso[task.complete]",
        "names_\r\x9b31m\u202eyppah\u2028",
        "=cmd|' names_ '!A0",
        "-o names_",
        "QUILL01",
        "lovelaceada_4021_998877_names",
        "Ada Lovelace_12345_assignsubmission_file_names",
        "index",
        "gradebook",
        "names_" + "x" * 200,
        "<script>alert(1)<names_>",
    ):
        with_name = name.replace("/", "")
        (folder / f"{with_name}.ipynb").write_bytes(content)
    Path(os.fsdecode(os.fsencode(folder) + b"/names_\xff\xfe.ipynb")).write_bytes(content)
    (folder / "names_folder.ipynb").mkdir()
    os.mkfifo(folder / "names_pipe.ipynb")
    (folder / "names_link.ipynb").symlink_to(folder.parent / "solutions" / SOURCE.name)
    with (folder / "names_sparse.ipynb").open("wb") as file:
        file.truncate(10 << 30)


# ------------------------------------------------------------------------------------------------------- grading it


def grade_class(course: Course, *, user: str, level: str) -> Graded:
    """Grade the class as a user does, with two workers."""
    wrapped = [*USERS[user], *LEVELS[level]]
    command = [*wrapped, interpreter() if wrapped else sys.executable, "-m", "grader", "batch"]
    command += [str(course.folder / "class"), "-a", SOURCE.stem, "--solutions", str(course.folder / "solutions")]
    command += ["-o", str(course.output), "--jobs", "2", "--require-sandbox", level]
    packages = [str(Path(__import__(name).__file__ or "").parents[1]) for name in ("torch", "ipykernel")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), *packages]),
        "HOME": "/nonexistent",
        "TMPDIR": str(course.folder / "tmp"),
        "COURSE_KEY": _key("environment"),
    }
    begun = time.monotonic()
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False, timeout=900)
    return Graded(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)


def reports(course: Course) -> dict[str, dict[str, Any]]:
    """The reports by student."""
    found = {}
    for path in course.output.glob("*.json"):
        if path.name != "gradebook.json":
            report = json.loads(path.read_text())
            found[report["submission"]["student"]] = report
    return found


def rows(course: Course) -> dict[str, dict[str, str]]:
    with (course.output / "gradebook.csv").open(newline="", encoding="utf-8-sig") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def wrongs(course: Course, graded: Graded, *, level: str) -> Iterator[str]:
    """What is not as it should be: nothing."""
    found = reports(course)
    for report in found.values():
        reached = level_of(report["sandbox"]["layers"]) if report["sandbox"]["layers"] else None
        if reached is not None and reached.label != level:
            yield f"{report['submission']['student']} was graded at level {reached.label}"
    for student in course.right:
        score = found.get(student, {}).get("score")
        if score != 10:
            outcomes = {e["name"]: e["outcome"] for e in found.get(student, {}).get("exercises", ())}
            yield f"{student} is right and has {score}: {outcomes}"
    for student, costs in course.hostile.items():
        yield from _wrongs_of(student, costs, found.get(student))
    for student, row in rows(course).items():
        if row["status"] == "grader_error":
            yield f"the grader failed at {student!r}"
    yield from _told(course, graded)
    yield from _commands(graded)
    yield from (f"left behind: {path}" for path in (course.folder / "tmp").rglob("*"))
    if Path("/tmp/owned").exists():
        yield "a file has started a program"


def _wrongs_of(student: str, costs: str, report: dict[str, Any] | None) -> Iterator[str]:
    if report is None:
        yield f"{student} has no report"
        return
    may_be_lost = costs.split()
    forged = "dz1 * 0" in (HOSTILE / f"{student}.py").read_text()
    for exercise in report["exercises"]:
        name, outcome = exercise["name"], exercise["outcome"]
        if "everything" not in may_be_lost and name not in may_be_lost and outcome != "match":
            yield f"{student} has lost {name}: {outcome}, {exercise['message']} ({report['notebook']})"
        if name == "grad_b1" and forged and outcome == "match":
            yield f"{student} has points for zeros"
        if student.startswith("autograd") and name in may_be_lost and outcome == "match":
            yield f"{student} used autograd unseen in {name}"


def _told(course: Course, graded: Graded) -> Iterator[str]:
    """Secrets in what was written."""
    texts = {"stdout": graded.stdout.decode(errors="replace"), "stderr": graded.stderr.decode(errors="replace")}
    for path in course.output.rglob("*"):
        if path.is_file() and path.name not in ("gradebook.db", "gradebook-before.csv"):
            texts[path.name] = path.read_text(errors="replace")
    hidden = _hidden_numbers(course)
    keys = {word: student for student, word in course.right.items()}
    for name, text in texts.items():
        for word in set(KEY.findall(text)):
            if name.partition(".")[0] != keys.get(word):
                yield f"{name} says {word}"
        yield from (f"{name} says {word}" for word in (*NEVER, *hidden) if word in text)
        if name.partition(".")[0] in course.hostile:
            yield from (f"{name} names {other}" for other in course.right if other in text)


def _hidden_numbers(course: Course) -> set[str]:
    """The numbers of the hidden cases as the hostile notebooks write them."""
    assignment = load_assignment(course.folder / "solutions" / SOURCE.name)
    texts: dict[bool, set[str]] = {True: set(), False: set()}
    for built in (build_cases(assignment), build_practice(assignment)):
        for case in (case for cases in built.values() for case in cases):
            is_hidden = built is build_cases(assignment) and not case.public
            for tensor in case.arguments.values():
                numbers = tensor.flatten()
                texts[is_hidden].add("-".join(f"{value:.3f}" for value in numbers[:8].tolist()))
                texts[is_hidden].add(str(tensor[0].tolist()))
                texts[is_hidden].add(str(numbers.sum().item()))
    assert len(texts[True]) > 20
    return {text for text in texts[True] - texts[False] if len(text) > 10}


def _commands(graded: Graded) -> Iterator[str]:
    for name, content in (("stdout", graded.stdout), ("stderr", graded.stderr)):
        text = content.decode(errors="surrogateescape")
        odd = {character for character in text if not (character.isprintable() or character == "\n")}
        if odd:
            yield f"{name} has {sorted(odd)!r}"
        yield from (
            f"{name} has a command: {line[:80]!r}"
            for line in text.splitlines()
            if re.match(r"\s*(::|##\[|##vso)", line)
        )


def give_away(folder: Path, user: int) -> None:
    """Make a course another user's."""
    for place, folders, names in os.walk(folder):
        for path in (place, *(Path(place, name) for name in (*folders, *names))):
            os.chown(path, user, user, follow_symlinks=False)


@contextlib.contextmanager
def course_for(user: Sequence[str], *, only: Sequence[str] = (), right: int = RIGHT) -> Iterator[Course]:
    """A course in a folder of its own, which belongs to the user who grades."""
    top = Path(tempfile.mkdtemp(prefix="hostile-class-"))
    try:
        top.chmod(0o755)
        course = make_course(top / "course", only=only, right=right)
        if user:
            give_away(course.folder, ORDINARY_USER)
        yield course
    finally:
        shutil.rmtree(top, ignore_errors=True)


def main() -> None:
    """Grade the class at each level as each user, and say what is wrong: `python -m tests.classroom.hostile_class`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("only", nargs="*", help="beginnings of names")
    parser.add_argument("--level", choices=LEVELS, action="append")
    parser.add_argument("--user", choices=USERS, action="append")
    parser.add_argument("--times", action="store_true", help="how long each took")
    options = parser.parse_args()
    for level in options.level or LEVELS:
        for user in options.user or USERS:
            with course_for(USERS[user], only=options.only) as course:
                graded = grade_class(course, user=user, level=level)
                for wrong in wrongs(course, graded, level=level):
                    sys.stdout.write(f"WRONG {wrong}\n")
                found = reports(course)
                sys.stdout.write(
                    f"{level}, {user}: exit code {graded.code}, {graded.seconds:.1f} s, {len(found)} reports\n"
                )
                if options.times:
                    times = sorted(((r["timing_s"]["total"], name) for name, r in found.items()), reverse=True)
                    sys.stdout.write("".join(f"  {seconds:6.1f} s {name!r}\n" for seconds, name in times[:20]))


if __name__ == "__main__":
    main()
