"""
Other right ways to write an exercise: they are graded like the solution, and kept from students.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.assignment.load import load_assignment
from grader.assignment.source import read_source, without_kept_back
from grader.assignment.styles import read_styles
from grader.authoring.leaks import find_leaks, solution_bodies
from grader.authoring.release import release_notebook
from grader.authoring.submissions import problems_of_submissions
from grader.errors import SourceError

ROOT = Path(__file__).parents[2]
CELL = "\n```{{code-cell}} ipython3\n---\ntags: [style]\ngrader: {grader}\n---\n{code}\n```\n"
RIGHT = "def by_product(yhat, y):\n    return (yhat - y) * (2 / len(y))"
WRONG = "def by_sum(yhat, y):\n    return 2 * (yhat - y)"


def styled(folder: Path, *cells: tuple[str, str]) -> Path:
    """A copy of two_layer_mse with these styles, (metadata, code), instead of its own."""
    text = without_kept_back((ROOT / "solutions" / "two_layer_mse.md").read_text(encoding="utf-8"))
    text = text.replace("![", "[")  # the picture is not in this folder
    path = folder / "two_layer_mse.md"
    path.write_text(text + "".join(CELL.format(grader=grader, code=code) for grader, code in cells), encoding="utf-8")
    return path


def test_every_style_is_graded_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    path = styled(tmp_path, ("{exercise: grad_yhat}", RIGHT), ("{exercise: grad_yhat}", WRONG))
    source = read_source(path)
    problems = problems_of_submissions(load_assignment(path), source, read_styles(source))
    assert [problem.split(" from ")[0] for problem in problems] == [
        "grad_yhat: the style by_sum does not get full marks"
    ]


def test_students_get_no_trace_of_a_style(tmp_path: Path) -> None:
    path, folder = styled(tmp_path, ("{exercise: grad_yhat}", RIGHT)), tmp_path / "without"
    folder.mkdir()
    source, without = read_source(path), read_source(styled(folder))
    released = release_notebook(source)
    assert released == release_notebook(without)
    assert source.version == without.version
    assert source.revision != without.revision
    assert "by_product" not in str(released)


def test_leaks_finds_the_code_of_a_style(tmp_path: Path) -> None:
    bodies = solution_bodies(styled(tmp_path, ("{exercise: grad_yhat}", RIGHT)).parent)
    answer = tmp_path / "answer.py"
    answer.write_text("# %%\ndef grad_yhat(guess, y):\n    return (guess - y) * (2 / len(y))\n", encoding="utf-8")
    assert [leak.rsplit(": ", 1)[1] for leak in find_leaks(answer, bodies)] == ["the solution of grad_yhat."]
    assert any("style" in leak for leak in find_leaks(tmp_path / "two_layer_mse.md", bodies))


@pytest.mark.parametrize(
    ("grader", "code", "says"),
    [
        ("{}", RIGHT, "the style does not say for which exercise"),
        ("{exercise: grad_y}", RIGHT, "there is no exercise `grad_y`"),
        ("{exercize: grad_yhat}", RIGHT, "there is no setting `exercize` here"),
        ("{exercise: grad_yhat}", "1", "the style has no function"),
        ("{exercise: grad_yhat}", "def grad_yhat(yhat, y):\n    return y", "the style's function is called grad_yhat"),
        ("{exercise: grad_yhat}", "def by(yhat):\n    return yhat", "by takes yhat"),
    ],
)
def test_an_error_names_the_place_of_a_wrong_cell(tmp_path: Path, grader: str, code: str, says: str) -> None:
    path = styled(tmp_path, (grader, code))
    with pytest.raises(SourceError) as caught:
        read_styles(read_source(path))
    assert says in str(caught.value)
    assert "two_layer_mse.md, cell" in str(caught.value)
