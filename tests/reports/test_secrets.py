"""
No report reveals the solution or the hidden cases, at any level of hints and in any format.

There are two scans. The first looks for every expression of a solution that the student cannot know already, with any
spacing. The second grades the same answers with two hidden seeds: a number that differs between the two reports comes
from hidden values, and may have two significant digits at most.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.misconceptions import Misconception
from grader.checking.check import check
from grader.diagnosis.wording import table, worded
from grader.exports.formats import Format
from grader.model import Diagnosis, Report
from grader.reference.cases import build_cases
from grader.reports.html import render_html
from grader.reports.json import render_json
from grader.reports.reading import read_report
from tests.conftest import SOURCES, handed_in
from tests.exports.rendering import rendered
from tests.inprocess import InProcessRun
from tests.test_corpus import ASSIGNMENTS, CORPUS, tomllib

FEWEST_CHARACTERS = 7
_SAME = str.maketrans({"·": "*", "×": "*", "−": "-", "(": None, ")": None, "`": None})
_NUMBER = re.compile(r"(?<![\w.#-])-?\d+\.\d+(?:e[+-]?\d+)?(?!\w)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/[^\"')]*")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_FINGERPRINT = re.compile(r"(?<![\w.])[0-9a-f]{16}\b")


pytestmark = pytest.mark.usefixtures("shared_images")


# ------------------------------------------------------------------------------------------------------- expressions


def bare(text: str) -> str:
    """A formula in one spelling: without spaces and brackets, with one sign for products and one for transposes."""
    return re.sub(r"\s+", "", text.translate(_SAME)).replace("ᵀ", ".T").replace(".mT", ".T").replace(".t,", ".T,")


@functools.cache
def expressions(assignment_id: str) -> frozenset[str]:
    """Every expression in the solutions that computes something, as `bare` writes it."""
    found = set()
    for code in load_assignment(SOURCES / f"{assignment_id}.md").solution_code.values():
        body = next(node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)).body[1:]
        for node in (inner for statement in body for inner in ast.walk(statement)):
            if isinstance(node, (ast.BinOp, ast.Call, ast.Compare, ast.UnaryOp, ast.Subscript)):
                found.add(bare(ast.unparse(node)))
    return frozenset(text for text in found if len(text) >= FEWEST_CHARACTERS)


def revealed(text: str, secrets: frozenset[str]) -> set[str]:
    """The secret expressions that a document shows."""
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), re.sub(r"<[^>]*>", "", _PICTURE.sub("", text)))
    shown = bare(html.unescape(plain).replace("\\n", ""))
    return {secret for secret in secrets if secret in shown}


# ----------------------------------------------------------------------------------------------------------- numbers


def numbers(text: str) -> set[str]:
    """The decimal numbers of a document with more than two significant digits."""
    plain = _FINGERPRINT.sub("", _PICTURE.sub("", text))
    return {number for number in _NUMBER.findall(plain) if len(significant(number)) > 2}


def significant(number: str) -> str:
    """The significant digits of a number."""
    return re.sub(r"e.*|[-.]", "", number, flags=re.IGNORECASE).strip("0")


# --------------------------------------------------------------------------------------------------------- documents


def documents(report: Report) -> Iterator[tuple[str, str]]:
    """All documents made from a report, by format; pages without their style sheet, and without times, which vary."""
    report = dataclasses.replace(report, seconds=0.0)
    yield "html", re.sub(r"<style>.*?</style>", "", render_html(report), flags=re.DOTALL)
    written = render_json(report)
    yield "json", written
    for form in Format:
        yield form.value, rendered(read_report(json.loads(written)), form)


def at_level(assignment: Assignment, level: int) -> Assignment:
    """The same assignment object, with another level of hints: caches of its cases and mutants stay valid."""
    object.__setattr__(assignment, "hints", level)
    return assignment


@functools.cache
def two_seeds(assignment_id: str) -> tuple[Assignment, Assignment]:
    path = SOURCES / f"{assignment_id}.md"
    return load_assignment(path, hidden_seed=1), load_assignment(path, hidden_seed=2)


@functools.cache
def rounds(assignment_id: str) -> tuple[str, ...]:
    """All wrong answers of the corpus in few notebooks, each with at most one answer to an exercise."""
    notebooks: list[dict[str, str]] = []
    for folder in sorted((CORPUS / assignment_id).glob("wrong_*")):
        text = (folder / "answers.py").read_text(encoding="utf-8")
        names = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))["outcomes"]
        notebook = next((notebook for notebook in notebooks if not notebook.keys() & names.keys()), None)
        if notebook is None:
            notebook = {}
            notebooks.append(notebook)
        notebook.update(dict.fromkeys(names, text))
    return tuple("\n\n".join(dict.fromkeys(notebook.values())) for notebook in notebooks)


@pytest.mark.parametrize("assignment_id", ASSIGNMENTS)
def test_no_report_reveals_a_secret(assignment_id: str) -> None:
    """
    For all wrong answers of the corpus, in all formats.

    Only the first notebook is graded at every level of hints; `test_levels_nest` shows that the highest is enough.
    """
    first, second = two_seeds(assignment_id)
    explained = 0
    for number, answers in enumerate(rounds(assignment_id)):
        here = InProcessRun(first, answers)
        there = here.run_again(second)
        known = bare("\n".join(cell.code for cell in here.notebook.cells))
        secrets = frozenset(secret for secret in expressions(assignment_id) if secret not in known)
        assert secrets
        reference = dict(documents(there.report(at_level(second, 3))))
        for level in range(4) if number == 0 else (3,):
            report = here.report(at_level(first, level))
            explained += sum(len(exercise.diagnoses) for exercise in report.exercises)
            for name, text in documents(report):
                assert revealed(text, secrets) == set(), (name, level)
                assert numbers(text) <= numbers(reference[name]), (name, level, "comes from hidden values")
                assert _PICTURE.findall(text) == _PICTURE.findall(reference[name])
    assert explained >= 0.9 * len(list((CORPUS / assignment_id).glob("wrong_*")))


def test_levels_nest() -> None:
    """The highest level of hints contains the texts of all levels, so that scanning it is enough."""
    facts = {key: f"<{key}>" for key in ("function", "part", "target", "expected", "got", "arguments", "entry")}
    custom = Misconception(id="custom", observation="", hints=("one", "two", "three"), analogy="four")
    for diagnosis_id, misconception in [*((name, None) for name in table("hints")), ("custom", custom)]:
        diagnoses = [
            worded(diagnosis_id, "seen", facts, level=level, misconception=misconception) for level in range(4)
        ]
        texts = [
            {diagnosis.message, diagnosis.hint, *diagnosis.more, diagnosis.analogy} - {""} for diagnosis in diagnoses
        ]
        assert all(lower <= texts[3] for lower in texts)
        assert len(texts[0]) == 1 < len(texts[3])


@pytest.mark.parametrize("assignment_id", ASSIGNMENTS)
def test_no_check_reveals_a_secret(assignment_id: str) -> None:
    """A check in the notebook, of wrong answers from the corpus."""
    for answers in rounds(assignment_id)[:2]:
        here = InProcessRun(two_seeds(assignment_id)[0], answers)
        known = bare("\n".join(cell.code for cell in here.notebook.cells))
        shown = check.examine_all(here.namespace)._repr_mimebundle_()
        assert " yours " in shown["text/plain"]
        for text in shown.values():
            assert revealed(text, frozenset(s for s in expressions(assignment_id) if s not in known)) == set()


def test_a_released_notebook_contains_no_secret_expression() -> None:
    """The scans skip expressions that the released notebook shows, so it must not show those of the solution."""
    known = bare("\n".join(cell.source for cell in handed_in("", base="blank").cells if cell.cell_type == "code"))

    assert {"x.T@dz1", "da1*z1>0", "dyhat@w2.T"} <= expressions("two_layer_mse")
    assert not {"x.T@dz1", "da1*z1>0", "dyhat@w2.T"} & {s for s in expressions("two_layer_mse") if s in known}


# ------------------------------------------------------------------------------------- the scans find what is planted


def with_words(report: Report, words: str) -> Report:
    """A report with these words in a hint."""
    first, *others = report.exercises
    diagnosis = Diagnosis(id="sign", message="Something can be seen.", hint="What is it?", more=(words,))
    return dataclasses.replace(report, exercises=(dataclasses.replace(first, diagnoses=(diagnosis,)), *others))


@pytest.fixture(scope="module")
def report() -> Report:
    return InProcessRun(two_seeds("two_layer_mse")[0], "").report(two_seeds("two_layer_mse")[0])


@pytest.mark.parametrize(
    "words", ["Try x.T @ dz1 here.", "Is it (x.mT) @ (dz1)?", "xᵀ@dz1", "da1 · (z1 > 0)", "2*(yhat − y)/len(y)"]
)
def test_a_planted_expression_is_found(report: Report, words: str) -> None:
    planted = dict(documents(with_words(report, words)))

    assert revealed(planted["html"], expressions("two_layer_mse"))
    assert revealed(planted["json"], expressions("two_layer_mse"))
    assert not revealed(dict(documents(report))["html"], expressions("two_layer_mse"))


@pytest.mark.parametrize(
    ("form", "is_found"), [("{:.4g}", True), ("{:.3e}", True), ("{:.17g}", True), ("{:.1e}", False)]
)
def test_a_planted_value_is_found(report: Report, form: str, is_found: bool) -> None:
    """A value of a hidden case's reference or arguments, scaled; two significant digits are allowed."""
    case = next(case for case in build_cases(two_seeds("two_layer_mse")[0])["grad_w1"] if not case.public)
    clean = dict(documents(report))

    for tensor in (case.expected[0], *case.arguments.values()):
        planted = with_words(report, form.format(float(tensor.flatten()[tensor.abs().argmax()]) / 1.7654321))
        for name, text in documents(planted):
            if name in ("html", "json"):
                assert (not numbers(text) <= numbers(clean[name])) is is_found


def test_every_wrong_answer_of_the_corpus_is_scanned() -> None:
    """The notebooks of `rounds` contain all of them."""
    for assignment_id in ASSIGNMENTS:
        together = "\n".join(rounds(assignment_id))
        for folder in (CORPUS / assignment_id).glob("wrong_*"):
            assert Path(folder / "answers.py").read_text(encoding="utf-8") in together
