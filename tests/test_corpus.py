"""Every submission of the corpus gets the outcomes that its `expect.toml` states."""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.assignment.load import Assignment
from grader.execution.requests import WRONG_IN_NUMBERS
from grader.model import Outcome, Report, Submission
from grader.pipeline import grade
from grader.reports.html import render_html
from grader.reports.json import report_to_dict
from tests.conftest import ROOT, SOURCES, assignment_called, check_flags, handed_in, raw_submission
from tests.inprocess import grade_in_process

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CORPUS = ROOT / "tests" / "corpus"
ASSIGNMENTS = sorted(path.stem for path in SOURCES.glob("*.md"))
EXPRESSIONS = (
    "2 * (yhat - y)",
    "a1.T @ dyhat",
    "dyhat.sum(",
    "dyhat @ w2.T",
    "(z1 > 0)",
    "x.T @ dz1",
    "dz1.sum(",
)
DRAWS_OR_TRAINS = re.compile(r"^(plt\.|for step in range)", re.MULTILINE)
CASES = sorted(path.parent for name in ASSIGNMENTS for path in (CORPUS / name).glob("*/expect.toml"))


def answers_in(*folders: Path) -> str:
    """The answers of a folder, or of several, in the format of the corpus."""
    return "\n\n# %%\n".join((folder / "answers.py").read_text(encoding="utf-8") for folder in folders)


def submission_in(*folders: Path, base: str) -> Submission:
    """The file in a folder, or the released notebook with the answers of that folder, or of several, in it."""
    raw = [path for path in folders[0].iterdir() if path.stem == "submission"]
    if raw:
        return raw_submission(raw[0].read_bytes(), name=raw[0].name)
    notebook = handed_in(answers_in(*folders), base=base, assignment_id=folders[0].parent.name)
    if folders[0].name.startswith("wrong_"):  # those that are right, or fail, also show what the rest of it does
        notebook.cells = [cell for cell in notebook.cells if not DRAWS_OR_TRAINS.search(cell.source)]
    return raw_submission(nbformat.writes(notebook).encode(), name=f"{folders[0].name}.ipynb")


@functools.cache
def expectation(*folders: Path) -> dict[str, Any]:
    """What `expect.toml` says: of several folders, what all of them say together."""
    expects = [tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8")) for folder in folders]
    return expects[0] if len(expects) == 1 else functools.reduce(_both, expects)


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    shared = {key: _both(one[key], other[key]) for key in one.keys() & other.keys() if isinstance(one[key], dict)}
    return one | other | shared


def _kind(folder: Path) -> tuple[Path, str]:
    return folder.parent, folder.name.partition("_")[0]


def _only_defines(folder: Path) -> frozenset[str] | None:
    """The names of the functions that a folder's answers consist of; None if there is more in them."""
    path = folder / "answers.py"
    expect = expectation(folder)
    if not path.exists() or expect.get("base", "solution") != "solution":
        return None
    if "reads_global" in expect.get("diagnoses", {}).values():
        return None  # what it reads, others may have made wrong
    code = path.read_text(encoding="utf-8")
    try:
        statements = ast.parse(code).body
    except SyntaxError:  # a magic
        return None
    if "# %% delete" in code or not all(isinstance(node, (ast.FunctionDef, ast.Import)) for node in statements):
        return None
    return frozenset(node.name for node in statements if isinstance(node, ast.FunctionDef))


@functools.cache
def together() -> dict[Path, tuple[Path, ...]]:
    """
    For each folder, those that are graded with it in one notebook.

    A notebook may have several mistakes or styles, each in another exercise, with the outcomes that they have alone.
    """
    packs: list[tuple[set[str], list[Path]]] = []
    for folder in CASES:
        names = None if folder.name.startswith("fail_") else _only_defines(folder)
        for taken, folders in packs:
            if names and taken and taken.isdisjoint(names) and _kind(folders[0]) == _kind(folder):
                taken |= names
                folders.append(folder)
                break
        else:
            packs.append((set(names or ()), [folder]))
    return {folder: tuple(folders) for _, folders in packs for folder in folders}


@functools.cache
def report_on(*folders: Path) -> Report:
    """The report on one notebook with the answers of all these folders."""
    base = expectation(*folders).get("base", "solution")
    return grade(submission_in(*folders, base=base), soon_ended(folders[0].parent.name))


def needs_a_sandbox(folder: Path) -> bool:
    """Whether a folder's notebook may change the process that it runs in, or never end."""
    return not folder.name.startswith("wrong_") or not (folder / "answers.py").exists()


@functools.cache
def report_without_a_sandbox_on(*folders: Path) -> Report:
    """The same, with the functions called in this process: honest mistakes do not need more, and it is faster."""
    base = expectation(*folders).get("base", "solution")
    return grade_in_process(soon_ended(folders[0].parent.name), answers_in(*folders), base=base)


@functools.cache
def soon_ended(assignment_id: str) -> Assignment:
    """The assignment with limits that end soon what loops: on the processor's time, which no busy machine shortens."""
    assignment = assignment_called(assignment_id)
    limits = dataclasses.replace(assignment.limits, cell_cpu_s=5.0, call_cpu_s=5.0, cell_s=30.0, call_s=30.0)
    return dataclasses.replace(assignment, limits=limits)


def check(report: Report, expect: dict[str, Any]) -> None:
    outcomes = {exercise.name: exercise.outcome.value for exercise in report.exercises}
    default = "missing" if expect.get("report", {}).get("unreadable") else "match"
    assert outcomes == {name: expect.get("outcomes", {}).get(name, default) for name in outcomes}

    right = sum(e.max_points for e in report.exercises if outcomes[e.name] == "match")
    assert report.score == right, "a mistake costs only its own points"

    notices = expect.get("notices", {})
    for exercise in report.exercises:
        ids = {notice.id for notice in exercise.notices}
        assert set(notices.get(exercise.name, ())) <= ids, (exercise.name, ids)

    check_flags(report, expect)
    first = {e.name: e.diagnoses[0].id if e.diagnoses else None for e in report.exercises}
    assert {name: first[name] for name in expect.get("diagnoses", {})} == expect.get("diagnoses", {})
    assert all(first[name] is None for name, outcome in outcomes.items() if outcome == "match")

    for exercise in report.exercises:
        example = exercise.counterexample
        assert (example is not None) == (exercise.outcome in WRONG_IN_NUMBERS), "an example in numbers, or the reason"
        assert example is None or all(len(table.numbers) <= 12 for table in example.arguments)

    texts = [" ".join((d.message, d.hint, *d.more, d.analogy)) for e in report.exercises for d in e.diagnoses]
    given_away = (*EXPRESSIONS, *expressions(report.assignment_id))
    assert not any(expression in text for text in texts for expression in given_away), (
        "a diagnosis gives the answer away"
    )

    expected = expect.get("report", {})
    assert bool(report.notebook.problem) is bool(expected.get("unreadable"))
    assert expected.get("first_error_contains", "") in (report.notebook.first_error or "")
    for name, words in expected.get("message_contains", {}).items():
        assert words in next(exercise.message for exercise in report.exercises if exercise.name == name)


@functools.cache
def expressions(assignment_id: str) -> frozenset[str]:
    """The expressions that the solutions assign or return, except for very short ones."""
    codes = assignment_called(assignment_id).solution_code.values()
    statements = [node for code in codes for node in ast.walk(ast.parse(code))]
    values = {ast.unparse(node.value) for node in statements if isinstance(node, (ast.Assign, ast.Return))}
    return frozenset(value for value in values if len(value) > 8)


@pytest.mark.parametrize(
    "folder",
    [pytest.param(folder, marks=pytest.mark.xdist_group(f"corpus of {folder.parent.name}")) for folder in CASES],
    ids=lambda folder: f"{folder.parent.name}/{folder.name}",
)
def test_corpus(folder: Path) -> None:
    """Each exercise has the expected outcome, points, notices and diagnosis, and both reports can be made."""
    folders = together()[folder]

    report = (report_on if needs_a_sandbox(folder) else report_without_a_sandbox_on)(*folders)

    check(report, expectation(*folders))
    if folder.name.startswith("ok_"):
        assert report.chain is not None
        assert set(report.chain.links.values()) == {Outcome.MATCH}
        assert report.chain.training.student == pytest.approx(report.chain.training.reference, rel=1e-3)
        assert report.chain.training.student[-1] < 0.9 * report.chain.training.student[0]
    assert "<!doctype html>" in render_html(report).lower()
    assert report_to_dict(report)["schema"] == "grader.report/1"


@pytest.mark.slow
@pytest.mark.parametrize(
    "folders",
    sorted({folders for folder, folders in together().items() if not needs_a_sandbox(folder)}),
    ids=lambda folders: f"{folders[0].parent.name}/{folders[0].name}",
)
def test_corpus_in_the_sandbox(folders: tuple[Path, ...]) -> None:
    """A grading says the same about a notebook, whether it runs in a sandbox or in this process."""
    check(report_on(*folders), expectation(*folders))


def test_the_corpus_has_many_styles_mistakes_and_failures() -> None:
    names = [folder.name for folder in CASES if folder.parent.name == "two_layer_mse"]

    assert sum(name.startswith("ok_") for name in names) >= 12
    assert sum(name.startswith("wrong_") for name in names) >= 20
    assert sum(name.startswith("fail_") for name in names) >= 22


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_every_assignment_has_right_answers_and_mistakes(name: str) -> None:
    """Most of the mistakes have a diagnosis."""
    folders = [folder for folder in CASES if folder.parent.name == name]
    wrong = [folder for folder in folders if folder.name.startswith("wrong_")]
    diagnosed = [folder for folder in wrong if "[diagnoses]" in (folder / "expect.toml").read_text(encoding="utf-8")]

    assert sum(folder.name.startswith("ok_") for folder in folders) >= 4
    assert len(wrong) >= 8
    assert len(diagnosed) >= 0.9 * len(wrong)


def test_nearly_every_mistake_has_a_diagnosis() -> None:
    """`test_corpus` checks that it is the expected one."""
    wrong = [folder for folder in CASES if folder.name.startswith("wrong_")]
    diagnosed = [folder for folder in wrong if "[diagnoses]" in (folder / "expect.toml").read_text(encoding="utf-8")]

    assert len(diagnosed) >= 0.95 * len(wrong)
