"""An author is told what students would get by accident: a solution beside its region, and texts of a draft."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.assignment.source import read_source
from grader.authoring.exposed import exposed, unfinished
from grader.authoring.release import write_release
from grader.authoring.scaffold import scaffold
from grader.authoring.validate import validate
from grader.cli import main
from grader.errors import SourceError
from tests.conftest import ROOT, SOURCES

SOLUTION = "    ### BEGIN SOLUTION\n    return 2 * x.T @ (yhat - y) / len(y)\n    ### END SOLUTION"
SOUND = [*SOURCES.glob("*.md"), *(ROOT / "tests" / "courses").glob("*.md"), *(ROOT / "docs" / "examples").glob("*.md")]


def written(folder: Path, solution: str) -> Path:
    text = scaffold("mine", hidden_seed=1)
    assert SOLUTION in text
    path = folder / "mine.md"
    path.write_text(text.replace(SOLUTION, "\n".join(f"    {line}" for line in solution.split("\n"))), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("solution", "shown"),
    [
        (
            "### BEGIN SOLUTION\nd = x @ 2\n### END SOLUTION\nd = x @ 2\nreturn d",
            "`d = x @ 2` of grad_w, which is in its",
        ),
        (
            "### BEGIN SOLUTION\nd = x @ 2\n### END SOLUTION\nd = 2 * x\nreturn d",
            "`d = 2 * x` of grad_w, which computes",
        ),
        ("### BEGIN SOLUTION\npass\n### END SOLUTION\nreturn 2 * x", "`return 2 * x` of grad_w, below a solution"),
        ("### BEGIN SOLUTION\n# here\n### END SOLUTION\nreturn x.T @ y", "`return x.T @ y` of grad_w, below a"),
        (
            "### BEGIN SOLUTION\nraise NotImplementedError\n### END SOLUTION\nd = f(x)\nreturn d",
            "`d = f(x)` of grad_w, b",
        ),
        ("### BEGIN SOLUTION\nd = None\n### END SOLUTION\nif x:\n    d = x @ y\nreturn d", "`d = x @ y` of grad_w, b"),
    ],
)
def test_code_below_a_region_that_gives_it_away_is_named(tmp_path: Path, solution: str, shown: str) -> None:
    path = written(tmp_path, solution)

    (sentence,) = exposed(read_source(path))

    line = next(n for n, text in enumerate(path.read_text().split("\n"), 1) if shown.split("`")[1] in text and n > 90)
    assert f"students can read {shown}" in sentence
    assert sentence.startswith("mine.md, cell 8, line ")
    assert line <= int(sentence.split("line ")[1].split(":")[0])


@pytest.mark.parametrize(
    "solution",
    [
        "### BEGIN SOLUTION\nd = x @ 2\n### END SOLUTION\nreturn d",
        "### BEGIN SOLUTION\nd = x @ 2\n### END SOLUTION\nd = d.reshape(3)\nreturn d / len(d)",
        "### BEGIN SOLUTION\nd = x @ 2\n### END SOLUTION\ngrads = {'w': d}\nreturn grads",
        "n = len(x) * 2\n### BEGIN SOLUTION\nn = len(x) * 2\nd = x @ 2\n### END SOLUTION\nreturn d",
        "if x:\n    ### BEGIN SOLUTION\n    d = x @ 2\n    ### END SOLUTION\nelse:\n    d = x * 3\nreturn d",
        "### BEGIN SOLUTION\nc = (x, y)\n### END SOLUTION\nreturn 2 * x, c",
    ],
)
def test_what_is_given_below_a_region_gives_nothing_away(tmp_path: Path, solution: str) -> None:
    assert list(exposed(read_source(written(tmp_path, solution)))) == []


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_sound_assignments_give_nothing_away(path: Path) -> None:
    source = read_source(path)

    assert [*exposed(source), *unfinished(source)] == []


def test_a_release_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "### BEGIN SOLUTION\nd = x @ 2\n### END SOLUTION\nd = x @ 2\nreturn d")

    assert main(["release", "mine", "--solutions", str(tmp_path), "-o", str(tmp_path / "out")]) == 0

    assert "Warning: mine.md, cell 8, line " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("# Mine", "**TODO.** Delete this cell when nothing is left.", ""),
        ("    The gradient of the loss", "    TODO: the question, and the shapes.", ", line 9"),
        ("def forward(", "# TODO: the arguments are the inputs and the parameters\ndef forward(", ", line "),
    ],
)
def test_a_draft_that_is_not_done_is_not_released(tmp_path: Path, old: str, new: str, line: str) -> None:
    """And `validate` says so, too."""
    text = scaffold("mine", hidden_seed=1)
    assert old in text
    path = tmp_path / "mine.md"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(SourceError, match=rf"mine\.md, cell \d{line}.*this is still the draft's `.*TODO"):
        write_release(read_source(path), tmp_path / "out")

    assert not (tmp_path / "out").exists()
    assert len(list(unfinished(read_source(path)))) == 1


def test_a_stub_with_its_solution_below_is_refused(tmp_path: Path) -> None:
    stub = "### BEGIN SOLUTION\nraise NotImplementedError  # TODO: the solution\n### END SOLUTION\nreturn 2 * x"

    with pytest.raises(SourceError, match=r"line \d+: this is still .*Write the solution there\. .*students can read"):
        validate(written(tmp_path, stub))


TWO = '''def grad_w(x, yhat, y):
    """The gradient."""
    ### BEGIN SOLUTION
    return 2 * x.T @ (yhat - y) / len(y)
    ### END SOLUTION


class Other:
    def forward(self, x):
        ### BEGIN SOLUTION
        return 2 * x
        ### END SOLUTION
'''


def test_a_blank_that_costs_nothing_is_named(tmp_path: Path) -> None:
    """Its mistakes are neither tried nor listed; nor are those in code that students are given."""
    text = scaffold("mine", hidden_seed=1)
    begin = text.index("def grad_w(")
    path = tmp_path / "mine.md"
    path.write_text(text[:begin] + TWO + text[text.index("```", begin) :], encoding="utf-8")
    line = next(n for n, row in enumerate(path.read_text().split("\n"), 1) if row == "        ### BEGIN SOLUTION")

    validation = validate(path)

    (problem,) = validation.problems
    assert problem == (
        f"grad_w: the blank in line {line} of `Other` belongs to no exercise's result: left blank, it costs nothing. "
        "To grade it, give `Other` a cell of its own, tagged `exercise`, or use it in `call`."
    )
    (exercise,) = validation.exercises
    assert exercise.given > 5
    assert not any("2 * x" in survivor.site and "yhat" not in survivor.site for survivor in exercise.survivors)
