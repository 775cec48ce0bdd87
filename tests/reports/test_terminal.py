"""Nothing that a student writes or calls a file controls a terminal, or is a command to the log of a job."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.cli import main
from grader.reports.cells import inert
from grader.reports.terminal import for_terminal, lines_for_terminal, without_commands
from tests.conftest import handed_in

NASTY = (
    "::error::x",
    "a ::set-output name=x::y",
    "##[error]x",
    "##vso[task.complete]x",
    "\r\x1b[0Ksection_start:1:a\r",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2028::notice::x",
    "\ud800",
    "\x00",
)
texts = st.lists(st.sampled_from([*NASTY, "a", " ", "\n", "::", ":", "#", "["]), max_size=6).map("".join)


def is_harmless(line: str) -> bool:
    """Whether a terminal and a job's log take this line for text only."""
    return (
        all(character.isprintable() for character in line)
        and not re.match(r"\s*::\w", line)
        and not re.search(r"##(vso)?\[|section_(start|end):", line, re.IGNORECASE)
    )


@given(texts | st.text(st.characters()), st.integers(1, 30))
def test_a_text_is_harmless_wherever_its_line_is_broken(text: str, width: int) -> None:
    safe = for_terminal(text)

    assert "\n" not in safe
    for start in range(0, len(safe), width):
        piece = safe[start : start + width]
        assert all(character.isprintable() for character in piece)
        assert not re.match(r"\s*::[A-Za-z]", piece)
    assert is_harmless(safe)


@given(texts)
def test_lines_stay_apart(text: str) -> None:
    safe = lines_for_terminal(f"  first\n{text}")

    assert safe.startswith("  first\n")
    assert all(map(is_harmless, safe.split("\n")))


def test_ordinary_text_stays_as_it_is() -> None:
    text = "grad_w1 raised RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x784 and 64x50): x[::2] → é"

    assert for_terminal(text) == text
    assert without_commands(f"when called, it called aten::relu_backward\n{text}").count("aten::relu_backward") == 1


@pytest.mark.parametrize(
    "cell", ["=1+1", " =1+1", "\t=1", "+1", "-1", "@SUM(1)", "\uff1d1", "\uff0b1", "\uff201", "\x1b=1"]
)
def test_no_cell_of_a_table_is_a_formula(cell: str) -> None:
    assert not inert(cell).startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff20", "\t", "\r"))


NAMES = ("::error::a.ipynb", "b\n::error::x.ipynb", "\x1b[2J##[error]c.ipynb", "\u202ed.ipynb")


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids such names")
@pytest.mark.parametrize("name", NAMES)
def test_no_command_repeats_a_name_as_it_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither for a file that is no notebook, nor for one that does not exist."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("no notebook")
    (tmp_path / "solutions.txt").write_text("")
    for command in (
        ["grade", name, "-a", "two_layer_mse", "-o", f"out{name}"],
        ["grade", f"missing{name}"],
        ["grade", name, "--debug"],
        ["check", name],
        ["export", name, "--format", "junit"],
        ["export", f"missing{name}", "--format", "csv"],
        ["batch", f"missing{name}", "-o", "marks"],
        ["adjust", name, "-g", f"missing{name}"],
        ["leaks", name],
        ["strip", name],
        ["validate", name],
        ["new", name],
        [name],
    ):
        main(command)
        said = capfd.readouterr()
        for line in (said.out + said.err).split("\n"):
            assert is_harmless(line.replace("\t", "")), command


def test_what_cells_and_functions_say_is_harmless(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    raised = "# %%\nraise ValueError('::error::a\\n::error::b \\x1b[2J')\n\n# %%\n"
    answers = f"{raised}def grad_b1(dz1):\n    raise ValueError('{'a' * 50} ::error::b\\n##[error]c')\n"
    notebook = tmp_path / "1001.ipynb"
    notebook.write_text(nbformat.writes(handed_in(answers)))

    assert main(["grade", str(notebook), "-o", str(tmp_path / "out")]) == 1
    for form in ("junit", "markdown", "csv", "gitlab"):
        assert main(["export", str(tmp_path / "out" / "1001.json"), "--format", form]) == 0

    said = capfd.readouterr()
    assert "grad_b1" in said.err
    for line in (said.out + said.err).split("\n"):
        assert is_harmless(line), line
