"""Where only a check's packages are installed, each command works, or says in a sentence what it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grader.cli import COMMANDS
from grader.execution import installed
from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RUN = """
import contextlib, io, json, sys
blocked, commands = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(blocked))
from grader.cli import main
for command in commands:
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(command)
    print(json.dumps([code, said.getvalue()]))
"""
WITHOUT_GRADING = {"leaks", "new", "release", "strip"}


def test_each_command_works_or_says_what_it_needs(tmp_path: Path) -> None:
    """None fails because of an import."""
    notebook, report = tmp_path / "a.ipynb", tmp_path / "a.json"
    notebook.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    report.write_text("{}")
    sources = ["--solutions", str(tmp_path / "solutions")]
    arguments = {
        "batch": [str(tmp_path), "-o", str(tmp_path)],
        "check": [str(notebook)],
        "course": ["check", str(tmp_path)],
        "export": ["--format", "junit", str(report)],
        "grade": [str(notebook)],
        "gradescope-run": [str(tmp_path)],
        "gradescope-zip": ["two_layer_mse"],
        "leaks": [str(notebook)],
        "lti": ["addresses", str(tmp_path)],
        "new": ["mine", *sources],
        "release": ["mine", *sources, "-o", str(tmp_path / "released")],
        "strip": [str(notebook)],
        "submit": [str(notebook)],
    }
    commands = [[name, *arguments.get(name, [])] for name in sorted(str(command.name) for command in COMMANDS)]

    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([installed.GRADING, commands])],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "XDG_CONFIG_HOME": str(tmp_path)},
    )

    answers = {command[0]: json.loads(line) for command, line in zip(commands, done.stdout.splitlines(), strict=True)}
    for name, (code, said) in answers.items():
        if name in WITHOUT_GRADING:
            assert (name, code) == (name, 0), said
        elif name == "submit":
            assert (code, "No key for handing in is saved" in said) == (2, True), said
        else:
            assert code == 2, (name, said)
            assert said.startswith(f"grader: `grader {name}` needs more than a check in a notebook, and ipykernel, ")
            assert said.endswith("In a clone: pip install '.[grading]'.\n")


def test_the_extra_is_what_is_looked_for() -> None:
    """And a check needs nothing of it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = lambda lines: {re.match(r"[\w-]+", line).group().replace("-", "_") for line in lines}  # noqa: E731

    extra = names(project["optional-dependencies"]["grading"])

    assert extra == {*installed.GRADING, "ipython"}
    assert extra & names(project["dependencies"]) == {"ipython"}
    for others in ("cluster", "portal", "postgresql"):
        assert "backprop-grader[grading]" in project["optional-dependencies"][others]
    assert "backprop-grader[grading,portal,widget]" in project["optional-dependencies"]["dev"]


def test_nothing_is_missing_here() -> None:
    assert installed.missing_for_grading() == []
    installed.require_for_grading("This")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)

    assert installed.missing_for_grading() == ["msgspec"]
