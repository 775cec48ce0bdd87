"""A mistake in a command line is said before anything heavy is imported, and before a process is started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grader.cli import COMMANDS
from grader.sandbox import ForkServer
from tests.conftest import ROOT

RUN = """
import contextlib, io, json, sys
from grader.cli import main
from grader.execution.warm import forkserver
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(command)
    heavy = sorted({"torch", "sqlalchemy"} & set(sys.modules))
    print(json.dumps([code, said.getvalue(), heavy, forkserver.cache_info().currsize]))
"""
FRONT = """
import functools, sys
from grader.cli import is_refused
from grader.commands.front import run_in_judge
from grader.execution.warm import forkserver
words = sys.argv[1:]
sys.argv = ["grader", *words]
print(run_in_judge(functools.partial(is_refused, words)), forkserver().pid)
"""
NO_ID, NO_FILE = "There is no assignment 'nosuch' in ", "There is no file nosuch.ipynb. Check the path."
NO_COURSE = "nosuch/course.toml cannot be read (No such file or directory). `grader course new nosuch` writes one."
MISTAKES = [
    (["adjust", "ada", "-g", "nosuch", "--points", "1", "--reason", "x"], "There is no gradebook nosuch."),
    (["batch", "nosuch"], "There is no nosuch. Check the path."),
    (["batch", ".", "-a", "nosuch"], NO_ID),
    (["check", "nosuch.ipynb"], NO_FILE),
    (["course", "check", "nosuch"], NO_COURSE),
    (["course", "links", "nosuch", "--all"], NO_COURSE),
    (["course", "backup", "nosuch", "b.zip"], NO_COURSE),
    (["demo", "--nosuch"], "No such option"),
    (["doctor", "--nosuch"], "No such option"),
    (["export", "nosuch.json", "--format", "csv"], "nosuch.json cannot be read"),
    (["grade", "nosuch.ipynb"], NO_FILE),
    (["grade", "."], ". is a folder. Name a notebook in it."),
    (["grade", "a.ipynb", "-a", "nosuch"], NO_ID),
    (["grade", "a.ipynb", "-a", "nosuch", "--public", "--solutions", "sources"], f"{NO_ID}sources."),
    (["grade", "a.ipynb", "-a", "mine", "--solutions", "nosuch"], "There is no folder nosuch."),
    (["gradescope-run", "nosuch"], "does not exist"),
    (["gradescope-zip", "nosuch"], NO_ID),
    (["leaks", "a.ipynb", "nosuch.ipynb"], NO_FILE),
    (["lti", "addresses", "nosuch"], NO_COURSE),
    (["new", "No Such"], "'No Such' is not a valid id."),
    (["release", "nosuch"], NO_ID),
    (["release", "--watch", "nosuch"], NO_ID),
    (["serve"], "There is no course to serve."),
    (["serve", "nosuch"], NO_COURSE),
    (["strip", "nosuch.ipynb"], NO_FILE),
    (["submit"], "There is nothing to hand in."),
    (["validate", "nosuch"], NO_ID),
    (["validate", "mine", "nosuch", "--solutions", "sources"], f"{NO_ID}sources. Known: mine."),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a notebook, and with a source notebook in another folder."""
    (tmp_path / "a.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "mine.md").write_text("---\njupytext: {}\n---\n")
    return tmp_path


def _run(code: str, *arguments: str, folder: Path) -> str:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "XDG_CONFIG_HOME": str(folder)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, cwd=folder, env=environment
    ).stdout


def test_a_mistake_costs_no_imports_and_no_process(folder: Path) -> None:
    """In one process, so that whatever was imported for one of them would be seen at all later ones, too."""
    said = _run(RUN, json.dumps([command for command, _ in MISTAKES]), folder=folder)

    for (command, sentence), line in zip(MISTAKES, said.splitlines(), strict=True):
        code, text, heavy, servers = json.loads(line)
        assert (command, code, heavy, servers) == (command, 2, [], 0)
        assert sentence in text, (command, text)


def test_every_command_is_among_them() -> None:
    assert {words[0] for words, _ in MISTAKES} == {command.name for command in COMMANDS}


@pytest.mark.skipif(not ForkServer.is_available(), reason="only Linux forks the judge")
@pytest.mark.parametrize(
    "words",
    [["grade"], ["grade", "nosuch.ipynb"], ["grade", "a.ipynb", "--nosuch"], ["validate", "nosuch"]],
    ids=" ".join,
)
def test_the_judge_is_not_waited_for(folder: Path, words: list[str]) -> None:
    """The process that would become it is ended, and the command says what is wrong."""
    assert _run(FRONT, *words, folder=folder).split() == ["None", "None"]
