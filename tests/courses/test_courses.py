"""
Exercises in the form in which public courses have them are sound assignments, and their mistakes are named.

Each `<id>.md` is a source notebook; `mistakes/<id>.toml` lists what people get wrong in it.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
import pytest

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import SourceNotebook, read_source
from grader.assignment.styles import read_styles
from grader.authoring.release import fill_blanks, release_notebook
from grader.authoring.validate import validate
from grader.errors import SolutionError, SourceError
from grader.model import ExerciseResult, Outcome, Report
from grader.pipeline import grade
from grader.reference.cases import build_cases
from tests.conftest import raw_submission

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent
MOST_AT_ONCE = 5
"""How many mistakes there may be in an answer whose parts are diagnosed one by one."""

COURSES = sorted(path.stem for path in FOLDER.glob("*.md"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mistake:
    """
    A wrong answer to one exercise.

    Attributes:
        exercise: Its name.
        code: All of the answer; or else
        old, new: what is in the solution, and what this answer has there instead.
        diagnosis: The id of the diagnosis that names it; empty if none does.
        outcome: What becomes of it.
        parts: The parts that are wrong, if each part has points of its own.
        says: What the sentence about the result contains.
    """

    exercise: str
    code: str = ""
    old: str = ""
    new: str = ""
    diagnosis: str = ""
    outcome: str = "mismatch"
    parts: tuple[str, ...] = ()
    says: str = ""

    def answer(self, solution: str) -> str:
        if self.code:
            return self.code
        assert solution.count(self.old) == 1, f"{self.old!r} is not once in the solution of {self.exercise}"
        return solution.replace(self.old, self.new)


@functools.cache
def source_of(course: str) -> SourceNotebook:
    return read_source(FOLDER / f"{course}.md")


@functools.cache
def assignment_of(course: str) -> Assignment:
    return load_assignment(FOLDER / f"{course}.md")


@functools.cache
def mistakes_in(course: str) -> tuple[Mistake, ...]:
    tables = tomllib.loads((FOLDER / "mistakes" / f"{course}.toml").read_text(encoding="utf-8"))["mistake"]
    return tuple(Mistake(**{**table, "parts": tuple(table.get("parts", ()))}) for table in tables)


@functools.cache
def used_by(course: str, exercise: str) -> frozenset[str]:
    """The other exercises whose functions an exercise calls, or those that it calls."""
    codes = assignment_of(course).solution_code
    (calls,) = [each.equation for each in assignment_of(course).exercises if each.name == exercise]
    nodes = [*ast.walk(ast.parse(codes[exercise])), *ast.walk(ast.parse(calls))]
    words = {node.id for node in nodes if isinstance(node, ast.Name)}
    called = words & codes.keys() - {exercise}
    return frozenset(called).union(*(used_by(course, name) for name in called))


def rounds(course: str) -> Iterator[dict[str, list[Mistake]]]:
    """Mistakes that are graded in one notebook, by exercise: one of each; of straight lines, one for each gradient."""
    lines = {exercise.name for exercise in assignment_of(course).exercises if exercise.is_lines}
    waiting = list(mistakes_in(course))
    while waiting:
        chosen: dict[str, list[Mistake]] = {}
        for mistake in waiting:
            if any(
                name in used_by(course, mistake.exercise) or mistake.exercise in used_by(course, name)
                for name in chosen
            ):
                continue
            others = chosen.setdefault(mistake.exercise, [])
            has_room = mistake.exercise in lines and len(others) < MOST_AT_ONCE
            if not others or (has_room and not any(set(mistake.parts) & set(other.parts) for other in others)):
                others.append(mistake)
        waiting = [mistake for mistake in waiting if mistake not in chosen.get(mistake.exercise, [])]
        yield chosen


def graded(course: str, answers: Mapping[str, str]) -> Report:
    """The report on a notebook with these answers; all other exercises are solved."""
    codes = {**assignment_of(course).solution_code, **answers}
    written = "\n".join(f"# %% answers: {name}\n{code}" for name, code in codes.items())
    notebook = fill_blanks(release_notebook(source_of(course)), written)
    return grade(raw_submission(nbformat.writes(notebook).encode()), assignment_of(course))


@functools.cache
def results_of(course: str) -> tuple[tuple[tuple[Mistake, ...], ExerciseResult], ...]:
    """What became of the mistakes that were in one answer."""
    found = []
    for mistakes in rounds(course):
        codes = {
            name: functools.reduce(lambda code, mistake: mistake.answer(code), those, solution)
            for name, those in mistakes.items()
            if (solution := assignment_of(course).solution_code[name])
        }
        results = {result.name: result for result in graded(course, codes).exercises}
        found += [(tuple(those), results[name]) for name, those in mistakes.items()]
        others = [
            r for name, r in results.items() if name not in mistakes and not used_by(course, name) & mistakes.keys()
        ]
        assert {result.outcome for result in others} <= {Outcome.MATCH}, "others keep their points"
    return tuple(found)


def named(mistake: Mistake, result: ExerciseResult, *, is_alone: bool) -> str:
    """The diagnosis of a mistake, which may be beside others in the same answer; empty if there is none."""
    about = [d for d in result.diagnoses if is_alone or re.search(rf"\b{mistake.parts[0]}\b", d.message)]
    return about[0].id if about else ""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.xdist_group(f"course {name}")) for name in COURSES])
def course(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_it_is_sound(course: str) -> None:
    """Solution and styles earn full marks, the blank none; autograd, the solution and differences agree."""
    validation = validate(FOLDER / f"{course}.md")

    assert validation.problems == ()
    styles = [style.exercise for style in read_styles(source_of(course))]
    assert max(map(styles.count, styles)) >= 3


def test_its_mistakes_are_wrong_and_most_are_named(course: str) -> None:
    """At least eight of ten have a diagnosis, and it is the one that the table expects."""
    found = [
        (mistake, named(mistake, result, is_alone=len(mistakes) == 1))
        for mistakes, result in results_of(course)
        for mistake in mistakes
    ]

    assert len(found) >= 10
    assert [(m.exercise, m.new or m.code, name) for m, name in found if name != m.diagnosis] == []
    assert sum(bool(name) for _, name in found) >= 0.8 * len(found)
    for mistakes, result in results_of(course):
        assert result.outcome.value in {mistake.outcome for mistake in mistakes}, result.message
        assert all(mistake.says in result.message for mistake in mistakes)
        assert "dropped_ones" not in {notice.id for notice in result.notices}, "no shape here is accepted with a remark"


def test_a_mistake_in_one_part_costs_only_that_part(course: str) -> None:
    for mistakes, result in results_of(course):
        wrong = {part for mistake in mistakes for part in mistake.parts}
        assert {part.name for part in result.parts if not part.outcome.passed} == wrong, (mistakes, result.message)
        assert result.points == sum(part.max_points for part in result.parts if part.name not in wrong)


@pytest.mark.parametrize("partial", ["[c2]", "[c2, c1, Wx, Wh]"])
def test_a_gradient_that_a_later_step_completes_must_be_declared(partial: str) -> None:
    """The loss depends on the weights, and on the cell state before, in other ways than through this step."""
    text = (FOLDER / "lstm_step.md").read_text(encoding="utf-8")
    text = text.replace("partial: [c2, c1, Wx, Wh, b]", f"partial: {partial}")
    with pytest.raises(SourceError, match=r"cannot know all of d(Wx|b): .* set `partial"):
        build_cases(load_assignment(Path("lstm_step.md"), text.encode()))


def test_a_style_has_the_parameters_of_the_function(tmp_path: Path) -> None:
    """Not the names that the call gives it."""
    text = (FOLDER / "cs231n_svm.md").read_text(encoding="utf-8")
    (tmp_path / "cs231n_svm.md").write_text(text.replace("hinge_by_one_hot(x, y)", "hinge_by_one_hot(scores, y)"))
    with pytest.raises(SourceError, match="hinge_by_one_hot takes scores, y") as caught:
        read_styles(read_source(tmp_path / "cs231n_svm.md"))
    assert "the arguments of svm_loss: x, y" in caught.value.hint


def test_a_helper_outside_of_the_network_is_explained() -> None:
    text = (FOLDER / "nielsen.md").read_text(encoding="utf-8")
    text = text.replace(":tags: [network]\n\ndef sigmoid", "def sigmoid")
    with pytest.raises(SolutionError) as caught:
        build_cases(load_assignment(Path("nielsen.md"), text.encode()))
    assert "must be in a cell tagged `network`" in caught.value.hint
