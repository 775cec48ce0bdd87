"""`grader demo`, the first command that a new user runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grader.cli import main


def test_the_demo_writes_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A perfect submission, a missing mask, a missing 1/N, a blank one and one that hangs have the right scores."""
    code = main(["demo", "-o", str(tmp_path)])

    pages = {path.stem: path for path in (tmp_path / "reports").glob("*.html")}
    reports = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "reports").glob("*.json")}
    scores = {name: report["score"] for name, report in reports.items()}
    assert code == 0
    assert pages.keys() == reports.keys()
    assert scores["perfect"] == 10
    assert scores["missing-relu-mask"] == 8
    assert scores["missing-one-over-n"] == 9
    assert scores["blank"] == 0
    assert scores["endless-loop"] == 8
    assert {e["outcome"] for e in reports["endless-loop"]["exercises"]} == {"match", "timed_out"}
    output = capsys.readouterr().err
    assert all(str(page) in output for page in pages.values())
    assert {path.stem for path in (tmp_path / "submissions").iterdir()} == set(pages)
