"""Annotations name the line of the student's function, or of the error in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import Outcome, Submission
from grader.notebook.functions import find_functions
from grader.notebook.lines import json_lines
from grader.notebook.read import read_notebook, read_submission
from grader.reports.places import with_places
from grader.reports.reading import Finding, Place, ReadReport
from tests.conftest import handed_in

MARKED = """# %%
def grad_z1(da1, z1):
    return da1  # MARK

# %%
def grad_w1(x, dz1):
    a = "\\u2028 é"
    raise ValueError(a)  # MARK
"""


def written(folder: Path, form: str) -> Path:
    notebook = handed_in(MARKED)
    path = folder / f"alice{form}"
    if form == ".ipynb":
        nbformat.write(notebook, path)
    else:
        jupytext.write(notebook, path, fmt="md:myst" if form == ".md" else "py:percent")
    return path


def report_on(path: Path) -> ReadReport:
    """A report that knows where functions begin, and that grad_w1 raises in its third line."""
    submission = read_submission(path)
    functions = find_functions(read_notebook(submission))
    findings = []
    for name in ("grad_z1", "grad_w1", "grad_b1"):
        code = functions.last(name).code
        line = 3 if name == "grad_w1" else code.line
        findings.append(Finding(name=name, outcome=Outcome.RAISED, points=0, max_points=1, cell=code.cell, line=line))
    return report_of(submission, *findings)


def report_of(submission: Submission, *findings: Finding) -> ReadReport:
    return ReadReport(
        assignment_id="two_layer_mse",
        title="",
        version="1",
        submission=submission.name,
        student=submission.student,
        sha256=submission.sha256,
        score=0,
        max_score=3,
        findings=findings,
    )


def find_places(report: ReadReport, notebooks: list[Path]) -> dict[str, Place]:
    """The known places, by exercise."""
    return {finding.name: finding.place for finding in with_places(report, notebooks).findings if finding.place}


def line_of(path: Path, text: str) -> int:
    found = [n for n, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1) if text in line]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("form", [".ipynb", ".md", ".py"])
def test_lines_are_lines_of_the_file(tmp_path: Path, form: str) -> None:
    path = written(tmp_path, form)

    places = find_places(report_on(path), [path])

    assert {place.file for place in places.values()} == {path.as_posix()}
    assert places["grad_z1"].line == line_of(path, "def grad_z1(")
    assert places["grad_w1"].line == line_of(path, "raise ValueError(a)")
    assert places["grad_b1"].line == line_of(path, "def grad_b1(")


@pytest.mark.parametrize("style", [{"indent": None}, {"indent": 4}, {"separators": (",", ":")}])
def test_json_in_any_layout(tmp_path: Path, style: dict[str, Any]) -> None:
    path = written(tmp_path, ".ipynb")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content, **style))

    places = find_places(report_on(path), [path])

    expected = line_of(path, "def grad_z1(") if style.get("indent") else 1
    assert places["grad_z1"].line == expected


def test_lines_are_those_of_an_identical_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook, pair = written(tmp_path, ".ipynb"), written(tmp_path, ".md")
    monkeypatch.chdir(tmp_path)

    places = find_places(report_on(notebook), [notebook.resolve()])

    assert places["grad_z1"].file == "alice.md", "from the folder where one works"
    assert places["grad_z1"].line == line_of(pair, "def grad_z1(")


def test_lines_are_not_those_of_an_outdated_pair(tmp_path: Path) -> None:
    notebook, pair = written(tmp_path, ".ipynb"), written(tmp_path, ".md")
    pair.write_text(pair.read_text().replace("return da1", "return da1 * 2"))

    assert find_places(report_on(notebook), [notebook])["grad_z1"].file == notebook.as_posix()


def test_another_file_has_no_lines(tmp_path: Path) -> None:
    path = written(tmp_path, ".ipynb")
    report = report_on(path)
    path.write_text(path.read_text() + "\n")

    assert find_places(report, [path]) == {}


SOURCES = st.lists(st.text(alphabet='ab\n\u2028\r"\\{}[],:é', max_size=12), max_size=5)


@given(SOURCES, st.sampled_from([None, 0, 1, 3]), st.booleans())
def test_every_line_of_every_cell(sources: list[str], indent: int | None, as_list: bool) -> None:
    """Every line of a source, split only at newlines, is found in the JSON of any notebook."""
    cells = [{"metadata": {"a": [1, {}]}, "source": s.splitlines(keepends=True) if as_list else s} for s in sources]
    text = json.dumps({"metadata": {}, "cells": cells, "nbformat": 4}, indent=indent, ensure_ascii=False)

    lines = json_lines(text)

    physical = text.split("\n")
    for source, found in zip(sources, lines, strict=True):
        expected = source.split("\n")
        assert len(found) == len(expected) - (expected[-1] == "")
        for part, line in zip(expected, found, strict=False):
            first = re.split(r"[\r\u2028]", part)[0]
            assert json.dumps(first, ensure_ascii=False)[1:-1] in physical[line - 1]


def test_a_file_that_cannot_be_read_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "cut.ipynb"
    path.write_text('{"cells": [')
    submission = Submission.of(path.read_bytes(), name="cut.ipynb", student="cut")
    finding = Finding(name="grad_w1", outcome=Outcome.MISSING, points=0, max_points=1, cell=1, line=1)

    assert find_places(report_of(submission, finding), [path]) == {}


@pytest.mark.parametrize("module", ["grader.reports.places", "grader.execution.conductor"])
def test_finding_lines_imports_no_torch(module: str) -> None:
    """Neither here nor in the process that reads the file: otherwise each export would take seconds."""
    subprocess.run([sys.executable, "-c", f"import sys, {module}; sys.exit('torch' in sys.modules)"], check=True)
