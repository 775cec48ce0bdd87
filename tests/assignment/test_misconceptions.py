"""Mistakes that an author has named: recognised, explained in the author's words, kept from students, checked."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
import torch

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.misconceptions import cell_to_name
from grader.assignment.source import read_source, without_kept_back
from grader.authoring.misconceptions import problems_of_misconceptions
from grader.authoring.release import release_notebook
from grader.classroom.overview import build_overview
from grader.classroom.page import render_overview
from grader.cli import main
from grader.diagnosis.diagnose import diagnose
from grader.diagnosis.fingerprint import fingerprint
from grader.errors import SourceError
from grader.model import Diagnosis, Outcome
from grader.notebook.scope import Scope
from grader.reference.cases import build_cases
from tests.classroom.class_samples import entry_of
from tests.conftest import ROOT
from tests.diagnosis.test_recognise import Function, call

EXAMPLE = ROOT / "docs" / "examples" / "halves.md"
CELL = """
```{{code-cell}} ipython3
---
tags: [misconception]
grader:
  exercise: {exercise}
  id: {id}
  observation: Something can be seen.
  hints: ["What is it?"]
---
{code}
```
"""


def written(folder: Path, *cells: str) -> Path:
    """A copy of the example, with more cells at its end."""
    path = folder / EXAMPLE.name
    path.write_text(EXAMPLE.read_text(encoding="utf-8") + "".join(cells), encoding="utf-8")
    return path


def diagnosed(assignment: Assignment, name: str, function: Function) -> tuple[tuple[Diagnosis, ...], str | None]:
    """The diagnoses of a wrong function, and its fingerprint."""
    exercise = next(exercise for exercise in assignment.exercises if exercise.name == name)
    returned = [call(case, function) for case in build_cases(assignment)[name]]
    diagnoses = diagnose(assignment, exercise, Outcome.MISMATCH, returned, Scope())
    return diagnoses, fingerprint(exercise, Outcome.MISMATCH, returned)


def once_more(dp: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return dp * p.sigmoid() * (1 - p.sigmoid())


def strange(dp: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return dp.tanh() * p.cos() + p.exp() / 7


def test_a_student_who_makes_the_mistake_gets_the_author_s_words() -> None:
    (diagnosis,), _ = diagnosed(load_assignment(EXAMPLE), "grad_z", once_more)

    assert diagnosis.id == "sigmoid_once_more"
    assert diagnosis.message == "In your dz, p goes through the sigmoid once more."
    assert diagnosis.hint.startswith("What is p, and what is z?")
    assert len(diagnosis.more) == 1
    assert diagnosis.analogy.startswith("On a map, you can look up the slope")


def test_a_similar_mistake_is_not_taken_for_it() -> None:
    found, _ = diagnosed(load_assignment(EXAMPLE), "grad_z", lambda dp, p: once_more(dp, p) * (1 + 1e-3 * p))

    assert "sigmoid_once_more" not in [diagnosis.id for diagnosis in found]


def test_a_misconception_comes_before_other_diagnoses(tmp_path: Path) -> None:
    """Also before a factor and a mutant."""
    cell = CELL.format(exercise="grad_z", id="thinks_twice", code="def thinks(dp, p):\n    return 2 * dp * p * (1 - p)")

    found, _ = diagnosed(load_assignment(written(tmp_path, cell)), "grad_z", lambda dp, p: 2 * dp * p * (1 - p))

    assert [diagnosis.id for diagnosis in found] == ["thinks_twice"]


def test_the_cell_that_the_class_s_page_offers_names_a_mistake(tmp_path: Path) -> None:
    """Students share an answer that nothing explains; with the offered cell in the source, it is explained."""
    nothing, shared = diagnosed(load_assignment(EXAMPLE), "grad_z", strange)
    assert nothing == ()
    entries = [entry_of(student, f"grad_z1:#{shared}") for student in ("ada", "ben")]
    page = render_overview(build_overview(entries, [], title="Halves", facts=[]))
    offered = html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[0])
    cell = offered.replace("#", "").replace("grad_z1", "grad_z").replace("A question?", "What is strange here?")

    assignment = load_assignment(written(tmp_path, "\n", cell))
    found, _ = diagnosed(assignment, "grad_z", strange)

    assert [(diagnosis.id, diagnosis.hint) for diagnosis in found] == [("grad_z_mistake", "What is strange here?")]
    assert diagnosed(assignment, "grad_z", lambda dp, p: strange(dp, p) + 0.01)[0] == ()
    assert list(problems_of_misconceptions(assignment)) == []


def test_students_get_no_trace_of_a_misconception(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their notebook has the same bytes and the same version as without the misconception."""
    without = tmp_path / "earlier" / EXAMPLE.name
    without.parent.mkdir()
    without.write_text(without_kept_back(EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")

    released = release_notebook(read_source(EXAMPLE))

    assert released == release_notebook(read_source(without))
    assert "once_more" not in str(released)
    assert "misconception" not in str(released)
    assert load_assignment(EXAMPLE).version == load_assignment(without).version
    assert load_assignment(EXAMPLE).revision != load_assignment(without).revision
    assert load_assignment(EXAMPLE, public=True).misconceptions == {}
    assert main(["leaks", "--solutions", str(without.parent), str(EXAMPLE)]) == 1
    assert "a cell is tagged misconception or style, and is for instructors only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (
            "def same(dp, p):\n    return (p - p ** 2) * dp",
            "is not a mistake: it answers every case like the solution.",
        ),
        ("def again(dp, p):\n    return once(dp, p)", "raises NameError on mnist (name 'once' is not defined)."),
        ("def again(dp, p):\n    return 1", "does not return what the exercise asks for"),
        (
            "def again(dp, p):\n    q = 1 / (1 + (-p).exp())\n    return dp * q * (1 - q)",
            "sigmoid_once_more and again are shown by the same answer: again would never be reported.",
        ),
    ],
)
def test_validation_checks_misconceptions(tmp_path: Path, code: str, problem: str) -> None:
    assignment = load_assignment(written(tmp_path, CELL.format(exercise="grad_z", id="again", code=code)))

    problems = list(problems_of_misconceptions(assignment))

    assert len(problems) == 1
    assert problem in problems[0]
    assert problems[0].startswith("grad_z: the misconception")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (
            cell_to_name("grad_q", "0" * 16),
            "there is no exercise `grad_q`. The exercises are grad_p, grad_z, grad_layer.",
        ),
        (cell_to_name("grad_z", "0123"), "`fingerprints` is ['0123']. It must be a list of strings of 16 hexadecimal"),
        (cell_to_name("grad_z", "0" * 16).replace("id:", "name:"), "there is no setting `name` here."),
        (cell_to_name("grad_z", "0" * 16).replace("  id: grad_z_mistake\n", ""), "the misconception has no `id`."),
        (CELL.format(exercise="grad_z", id="empty", code=""), "nothing says which answers show `empty`."),
        (CELL.format(exercise="grad_z", id="a", code="def grad_z(dp, p): return p"), "function is called grad_z."),
        (
            CELL.format(exercise="grad_z", id="a", code="def other(p): return p"),
            "other takes p. It must take the arguments of grad_z: dp, p.",
        ),
        (CELL.format(exercise="grad_z", id="a", code="def other(p"), "this cell is not Python ('(' was never closed)."),
        (
            CELL.format(exercise="grad_z", id="sigmoid_once_more", code="def other(dp, p): return p"),
            "grad_z has two misconceptions called `sigmoid_once_more`.",
        ),
        (
            CELL.format(exercise="grad_z", id="a", code="1").replace("[misconception]", "[misconception, exercise]"),
            "this cell is tagged both `misconception` and `exercise`. Give the misconception a cell of its own.",
        ),
    ],
)
def test_an_error_names_the_place_of_a_wrong_misconception(tmp_path: Path, cell: str, says: str) -> None:
    with pytest.raises(SourceError) as raised:
        load_assignment(written(tmp_path, "\n", cell))

    assert says in str(raised.value)
    assert "halves.md, cell 11" in str(raised.value)
