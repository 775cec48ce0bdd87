"""An author's settings and cells are checked, errors name the place, and valid settings take effect."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from grader.assignment.find import find_assignment
from grader.assignment.load import load_assignment
from grader.assignment.written import written_twice
from grader.authoring.scaffold import scaffold
from grader.errors import SolutionError, SourceError
from grader.reference.cases import build_cases
from tests.conftest import SOURCE


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    """The scaffold's source, changed."""
    text = scaffold("mine", hidden_seed=1)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "mine.md"
    path.write_text(text, encoding="utf-8")
    return path


def line_of(path: Path, beginning: str) -> int:
    lines = path.read_text(encoding="utf-8").split("\n")
    return next(number for number, line in enumerate(lines, start=1) if line.startswith(beginning))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hiden_seed: 3", "there is no setting `hiden_seed` here. Did you mean hidden_seed?"),
        ("colour: red", "there is no setting `colour` here. The settings are assignment, title, hidden_seed"),
        ("autograd: maybe", "`autograd` is 'maybe'. It must be one of forbid, flag, allow."),
        ("hints: 4", "`hints` is 4. It must be one of 0, 1, 2, 3."),
        ("hints: true", "`hints` is True. It must be one of 0, 1, 2, 3."),
        ("learning_rate: -1", "`learning_rate` is -1. It must be a positive number."),
        ("rows: 3", "`rows` is 3. It must be a whole number from 4 to 1000."),
        ("steps: 2.5", "`steps` is 2.5. It must be a whole number from 1 to 1000."),
        (
            "limits: {call_s: -1}",
            "`limits` is {'call_s': -1}. It must be positive numbers for any of call_cpu_s, call_s",
        ),
        ("limits: {memory_mib: 0.5}", "`limits` is {'memory_mib': 0.5}. It must be"),
        ("limits: {patience: 3}", "`limits` is {'patience': 3}. It must be"),
        ("cases: [{name: vjp}]", "`cases` is [{'name': 'vjp'}]. It must be a list such as [{name: tiny"),
        ("cases: [{name: one, rows: 1}]", "`cases` is [{'name': 'one', 'rows': 1}]. It must be"),
        ("cases: {name: tiny}", "`cases` is {'name': 'tiny'}. It must be"),
    ],
)
def test_a_notebook_s_settings_are_checked(tmp_path: Path, line: str, says: str) -> None:
    path = written(tmp_path, ("  learning_rate: 0.01\n", ""), ("  steps: 20", f"  {line}"))

    with pytest.raises(SourceError) as raised:
        load_assignment(path)

    assert str(raised.value).startswith(f"mine.md, line {line_of(path, f'  {line}')}: {says}")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            "{points: 0}",
            "`points` is 0. It must be a positive number, or one for each part of the result, such as {dw: 2, db: 1}.",
        ),
        (
            "{points: true}",
            "`points` is True. It must be a positive number, or one for each part of the result, such as "
            "{dw: 2, db: 1}.",
        ),
        ("{point: 2}", "there is no setting `point` here. Did you mean points?"),
        ("{tolerance: 0.5}", "`tolerance` is 0.5. It must be a number of at least 1."),
        ("{targets: w}", "`targets` is 'w'. It must be a list of names, such as [w2, b2]."),
        ("[2]", "`grader` is [2]. Write names and values: `{points: 2}`."),
    ],
)
def test_an_exercise_s_settings_are_checked(tmp_path: Path, settings: str, says: str) -> None:
    path = written(tmp_path, ("grader: {points: 2}", f"grader: {settings}"))

    with pytest.raises(SourceError) as raised:
        load_assignment(path)

    place, _, message = str(raised.value).partition(", grad_w: ")
    assert place.endswith(f"line {line_of(path, 'grader: ' + settings)}")
    assert message == says


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    return 2 * x.T @ (yhat - y) / len(y)", "    return 2 *", "this cell is not Python"),
        ('    return {"w": 0.01', '    retrun {"w": 0.01', "SyntaxError: invalid syntax"),
        ("def init_parameters(generator):", "1 / 0\ndef init_parameters(generator):", "ZeroDivisionError"),
    ],
)
def test_an_error_names_the_line_of_code_that_cannot_run(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = written(tmp_path, (old, new))

    with pytest.raises(
        SourceError, match=rf"mine\.md, cell \d+, line {line_of(path, new.partition(chr(10))[0])}: {says}"
    ):
        load_assignment(path)


def test_an_error_names_the_line_where_the_forward_pass_fails(tmp_path: Path) -> None:
    path = written(tmp_path, ("    yhat = x @ w", "    yhat = x @ w @ w"))

    with pytest.raises(SourceError, match=rf"cannot be evaluated \(mine\.md, line {line_of(path, '    yhat = x')}\)"):
        build_cases(load_assignment(path))


def test_an_error_names_the_cell_with_an_unknown_argument(tmp_path: Path) -> None:
    path = written(tmp_path, ("def grad_w(x, yhat, y):", "def grad_w(x, z, y):"))

    with pytest.raises(SourceError, match=rf"mine\.md, cell \d+, line {line_of(path, 'def grad_w')}\) takes `z`"):
        build_cases(load_assignment(path))


def test_a_tolerance_multiplies_what_rounding_explains() -> None:
    default = load_assignment(SOURCE)
    wide = dataclasses.replace(
        default, exercises=tuple(dataclasses.replace(exercise, tolerance=10.0) for exercise in default.exercises)
    )

    for cases in zip(build_cases(default)["grad_w1"], build_cases(wide)["grad_w1"], strict=True):
        allowed = [case.compare(case.expected[0], target=0, argument_dtype=case.dtype).tolerance for case in cases]
        assert allowed[1] == pytest.approx(10 * allowed[0])


def test_an_author_can_add_cases(tmp_path: Path) -> None:
    """With another size, another dtype, and inputs that the author makes."""
    path = written(
        tmp_path,
        ("  steps: 20", "  steps: 20\n  cases: [{name: paper, rows: 3}, {name: wide, rows: 99, dtype: float64}]"),
        (
            "def init_parameters",
            "def inputs_paper(images, labels, generator):\n"
            '    """Images without a digit."""\n'
            '    return {"x": torch.zeros(len(images), 784), "y": labels.float()[:, None]}\n\n\ndef init_parameters',
        ),
    )

    cases = {case.name: case for case in build_cases(load_assignment(path))["grad_w"]}

    assert list(cases) == ["mnist", "mnist_hidden", "paper", "wide", "vjp"]
    assert cases["paper"].arguments["x"].shape == (3, 784)
    assert float(cases["paper"].arguments["x"].abs().max()) == 0
    assert cases["wide"].arguments["x"].shape == (99, 784)
    assert cases["wide"].arguments["x"].dtype == torch.float64
    assert float(cases["wide"].arguments["x"].abs().max()) > 0
    assert not any(case.public for name, case in cases.items() if name != "mnist")


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("tags: [exercise]", "tags: [excercise]", "def grad_w", "there is no tag `excercise`. Did you mean exercise?"),
        (
            "tags: [exercise]",
            "tags: [misconceptoin]",
            "def grad_w",
            "there is no tag `misconceptoin`. Did you mean misconception?",
        ),
        (":tags: [network]\n\ndef init", ":tags: [netwrok]\n\ndef init", "def init", "there is no tag `netwrok`."),
        (
            ":tags: [network]\n\ndef init",
            "\ndef init",
            "def init",
            "the cell that defines `forward` is not tagged `network`.",
        ),
        (
            "grader: {points: 2}",
            "points: 2",
            "def grad_w",
            "`points` is not under `grader`. Write `grader: {points: …}`.",
        ),
        ("    ### END SOLUTION\n", "", "def grad_w", "a solution region is not closed."),
        ("### BEGIN SOLUTION", "### BEGIN SOLUTON", "def grad_w", "an END SOLUTION has no BEGIN SOLUTION."),
        ("### END", "### BEGIN SOLUTION\n    ### END", "def grad_w", "a solution region begins inside another one."),
    ],
)
def test_an_error_names_the_cell_with_wrong_tags_or_regions(
    tmp_path: Path, old: str, new: str, place: str, says: str
) -> None:
    path = written(tmp_path, (old, new))

    with pytest.raises(SourceError, match=rf"mine\.md, cell \d+, line {line_of(path, place)}: {re.escape(says)}"):
        load_assignment(path)


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        (
            ".square().mean()}",
            ".square()}",
            "def forward",
            "ValueError: the loss has the shape (64, 1), but it must be one",
        ),
        ('"loss": (yhat', '"lost": (yhat', "def forward", "TypeError: it returned no `loss`, but yhat, lost."),
        ("def forward(x, y, w):", "def forward(x, y, v):", "def forward", "TypeError: forward() got an unexpected"),
        ('{"w": 0.01', "[0.01", "def init", "AttributeError: 'list' object has no attribute 'items'."),
        ("    yhat = x @ w", "    yhat = x @ w.float()", "    yhat = x", "RuntimeError: expected m1 and m2 to have"),
        (
            "    return 2 * x.T",
            "    return 2 * nothing",
            "    return 2",
            "NameError: name 'nothing' is not defined. Nothing was graded.",
        ),
        ("def grad_w(", "def grad_v(", "def grad_v", "the network has no v to take the gradient of."),
    ],
)
def test_an_error_names_the_line_of_a_network_that_cannot_be_graded(
    tmp_path: Path, old: str, new: str, place: str, says: str
) -> None:
    path = written(tmp_path, (old, new))
    if new.startswith("["):
        path.write_text(path.read_text(encoding="utf-8").replace("generator=generator)}", "generator=generator)]"))

    with pytest.raises((SourceError, SolutionError), match=re.escape(says)) as raised:
        build_cases(load_assignment(path))

    assert f"line {line_of(path, place)}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("old", "new"), [("  title: Mine", "  title: Mine: all mine"), ("points: 2}", "points: 2")])
def test_an_error_names_the_line_of_broken_yaml(tmp_path: Path, old: str, new: str) -> None:
    path = written(tmp_path, (old, new))

    with pytest.raises(SourceError, match=r"mine\.md.*line \d+.*In YAML, close brackets and quotes"):
        load_assignment(path)


def test_a_file_without_a_header_is_not_a_source(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("# Mine\n")

    with pytest.raises(SourceError, match="does not begin with a jupytext header"):
        find_assignment("mine", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("  steps: 20", "  steps: 20\n  learning_rate: 0.5", "learning_rate"),
        ("  steps: 20", "  steps: 20\n  limits: {call_s: 3, call_s: 4}", "call_s"),
        ("  steps: 20", "  steps: 20\n  cases:\n    - {name: a, rows: 3}\n    - {name: b, name: c}", "name"),
        ("grader: {points: 2}", "grader: {points: 2, points: 3}", "points"),
        ("grader: {points: 2}", "grader:\n  points: 2\ntags: [exercise]", "tags"),
        ("grader: {points: 2}", "grader:\n  points: {w: 2, each: 1, w: 3}", "w"),
    ],
)
def test_a_setting_that_is_there_twice_is_refused(tmp_path: Path, old: str, new: str, name: str) -> None:
    """With both lines: YAML would take the second one without a word."""
    path = written(tmp_path, (old, new))
    lines = path.read_text(encoding="utf-8").split("\n")
    last = len(lines) - lines[::-1].index("tags: [exercise]" if name == "tags" else new.split("\n")[-1])

    with pytest.raises(SourceError, match=rf"mine\.md, line {last}: `{name}` is there already, in line \d+\. Keep"):
        load_assignment(path)


def test_the_same_setting_in_two_cells_is_not_there_twice(tmp_path: Path) -> None:
    """Nor is one in an example that a text shows."""
    text = "```yaml\ngrader: {points: 2, points: 2}\n```\n\n"
    path = written(tmp_path, ("tags: [exercise]\ngrader", "tags: [exercise]\ngrader"))
    path.write_text(path.read_text(encoding="utf-8").replace("# Mine", f"# Mine\n\n{text}"), encoding="utf-8")

    assert text in path.read_text(encoding="utf-8")
    assert load_assignment(path).exercises


def test_the_line_of_a_setting_is_found_beside_a_text_with_cells(tmp_path: Path) -> None:
    """A fence of four backticks may show a code cell."""
    path = written(tmp_path, ("# Mine", "# Mine\n\n````\n```{code-cell}\n:tags: [exercise]\n```\n````"))
    text = path.read_text(encoding="utf-8").replace("grader: {points: 2}", "grader: {point: 2}")
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SourceError, match=rf"line {line_of(path, 'grader: {point: 2}')}, grad_w: there is no setting"):
        load_assignment(path)


def test_an_alias_of_what_it_is_in_ends() -> None:
    """YAML allows it."""
    assert written_twice("---\ngrader: {cases: &again [*again]}\n---\n") is None
    assert written_twice("---\ngrader: &again {a: *again, b: 1, b: 2}\n---\n") == ("b", 2, 2)
