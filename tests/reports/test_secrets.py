"""
No report says what the solution computes, or what the hidden cases hold: at no level of hints, in no format.

Two scans. One looks for every expression of a solution that the student cannot know already, however it is spaced. The
other grades the same answers with two hidden seeds: whatever number the reports do not share was made from hidden
values, and may be told to two digits at most.
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
import torch

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.misconceptions import Misconception
from grader.checking.check import check
from grader.diagnosis.wording import table, worded
from grader.exports.formats import FORMATS, render
from grader.model import Diagnosis, Report
from grader.reference import mnist
from grader.reference.cases import build_cases
from grader.reports.html import render_html
from grader.reports.json import render_json
from grader.reports.reading import result_of
from tests.conftest import SOURCES, handed_in
from tests.inprocess import InProcessRun
from tests.test_corpus import ASSIGNMENTS, CORPUS, tomllib

FEWEST_CHARACTERS = 7
_SAME = str.maketrans({"·": "*", "×": "*", "−": "-", "(": None, ")": None, "`": None})
_NUMBER = re.compile(r"(?<![\w.#-])-?\d+\.\d+(?:e[+-]?\d+)?(?!\w)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/[^\"')]*")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_FINGERPRINT = re.compile(r"(?<![\w.])[0-9a-f]{16}\b")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """What is computed twice is the same to the last bit. Notebooks share their images, which none of them changes."""
    threads, prepared = torch.get_num_threads(), mnist._as_numbers(*mnist.read_split("test"))
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "_as_numbers", lambda *_: prepared)
        yield
    torch.set_num_threads(threads)


# ------------------------------------------------------------------------------------------------------- expressions


def bare(text: str) -> str:
    """Text without what may vary in writing a formula: spaces, brackets, ways of writing a product or a transpose."""
    return re.sub(r"\s+", "", text.translate(_SAME)).replace("ᵀ", ".T").replace(".mT", ".T").replace(".t,", ".T,")


@functools.cache
def expressions(assignment_id: str) -> frozenset[str]:
    """Every part of every solution that computes something, bare."""
    found = set()
    for source in load_assignment(SOURCES / f"{assignment_id}.md").solution_code.values():
        body = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)).body[1:]
        for node in (inner for statement in body for inner in ast.walk(statement)):
            if isinstance(node, (ast.BinOp, ast.Call, ast.Compare, ast.UnaryOp, ast.Subscript)):
                found.add(bare(ast.unparse(node)))
    return frozenset(text for text in found if len(text) >= FEWEST_CHARACTERS)


def told(text: str, secrets: frozenset[str]) -> set[str]:
    """Those of the expressions that a document shows."""
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), re.sub(r"<[^>]*>", "", _PICTURE.sub("", text)))
    shown = bare(html.unescape(plain).replace("\\n", ""))
    return {secret for secret in secrets if secret in shown}


# ----------------------------------------------------------------------------------------------------------- numbers


def numbers(text: str) -> set[str]:
    """The decimal numbers of a document that have more than two digits that count."""
    plain = _FINGERPRINT.sub("", _PICTURE.sub("", text))
    return {number for number in _NUMBER.findall(plain) if len(significant(number)) > 2}


def significant(number: str) -> str:
    """The digits of a number that count."""
    return re.sub(r"e.*|[-.]", "", number, flags=re.IGNORECASE).strip("0")


# --------------------------------------------------------------------------------------------------------- documents


def documents(report: Report) -> Iterator[tuple[str, str]]:
    """Everything that is made of a report, by the format's name; pages without their style sheet. Time is no secret."""
    report = dataclasses.replace(report, seconds=0.0)
    yield "html", re.sub(r"<style>.*?</style>", "", render_html(report), flags=re.DOTALL)
    written = render_json(report)
    yield "json", written
    for name in FORMATS:
        yield name, render([result_of(json.loads(written))], name)


def at_level(assignment: Assignment, level: int) -> Assignment:
    """The same assignment (its cases and mutants are known by that), with so many hints."""
    object.__setattr__(assignment, "hints", level)
    return assignment


@functools.cache
def two_seeds(assignment_id: str) -> tuple[Assignment, Assignment]:
    path = SOURCES / f"{assignment_id}.md"
    return load_assignment(path, hidden_seed=1), load_assignment(path, hidden_seed=2)


@functools.cache
def rounds(assignment_id: str) -> tuple[str, ...]:
    """All wrong answers of the corpus, as few notebooks: in each, every exercise is answered once at most."""
    notebooks: list[dict[str, str]] = []
    for folder in sorted((CORPUS / assignment_id).glob("wrong_*")):
        text = (folder / "answers.py").read_text(encoding="utf-8")
        names = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))["outcomes"]
        free = next((each for each in notebooks if not each.keys() & names.keys()), None)
        if free is None:
            free = {}
            notebooks.append(free)
        free.update(dict.fromkeys(names, text))
    return tuple("\n\n".join(dict.fromkeys(each.values())) for each in notebooks)


@pytest.mark.parametrize("assignment_id", ASSIGNMENTS)
def test_no_report_tells_a_secret(assignment_id: str) -> None:
    """
    All wrong answers of the corpus, all formats. With all levels of hints, the first of them: `test_levels_nest`.
    """
    one, other = two_seeds(assignment_id)
    explained = 0
    for number, answers in enumerate(rounds(assignment_id)):
        here = InProcessRun(one, answers)
        there = here.run_again(other)
        known = bare("\n".join(cell.code for cell in here.notebook.cells))
        secrets = frozenset(secret for secret in expressions(assignment_id) if secret not in known)
        assert secrets
        reference = dict(documents(there.report(at_level(other, 3))))
        for level in range(4) if number == 0 else (3,):
            report = here.report(at_level(one, level))
            explained += sum(len(exercise.diagnoses) for exercise in report.exercises)
            for name, text in documents(report):
                assert told(text, secrets) == set(), (name, level)
                assert numbers(text) <= numbers(reference[name]), (name, level, "is made of hidden values")
                assert _PICTURE.findall(text) == _PICTURE.findall(reference[name])
    assert explained >= 0.9 * len(list((CORPUS / assignment_id).glob("wrong_*")))


def test_levels_nest() -> None:
    """Whatever a level of hints says, the highest one says too: what is scanned there is scanned at all."""
    facts = {key: f"<{key}>" for key in ("function", "target", "expected", "got", "arguments")}
    own = Misconception(id="own", observation="", hints=("one", "two", "three"), analogy="four")
    for diagnosis_id, named in [*((each, None) for each in table("hints")), ("own", own)]:
        said = [worded(diagnosis_id, "seen", facts, level=level, misconception=named) for level in range(4)]
        texts = [{each.message, each.hint, *each.more, each.analogy} - {""} for each in said]
        assert all(lower <= texts[3] for lower in texts)
        assert len(texts[0]) == 1 < len(texts[3])


@pytest.mark.parametrize("assignment_id", ASSIGNMENTS)
def test_no_check_tells_a_secret(assignment_id: str) -> None:
    """What a student sees in the notebook, of all wrong answers."""
    for answers in rounds(assignment_id)[:2]:
        here = InProcessRun(two_seeds(assignment_id)[0], answers)
        known = bare("\n".join(cell.code for cell in here.notebook.cells))
        shown = check.examine_all(here.namespace)._repr_mimebundle_()
        assert " yours " in shown["text/plain"]
        for text in shown.values():
            assert told(text, frozenset(s for s in expressions(assignment_id) if s not in known)) == set()


def test_what_students_get_has_no_expression_in_it() -> None:
    """Nor has a released notebook; so what it shows of the mathematics is no excuse."""
    known = bare("\n".join(cell.source for cell in handed_in("", base="blank").cells if cell.cell_type == "code"))

    assert {"x.T@dz1", "da1*z1>0", "dyhat@w2.T"} <= expressions("two_layer_mse")
    assert not {"x.T@dz1", "da1*z1>0", "dyhat@w2.T"} & {s for s in expressions("two_layer_mse") if s in known}


# --------------------------------------------------------------------------------------- the scans themselves can fail


def with_words(report: Report, words: str) -> Report:
    """A report that says something in a hint."""
    first = report.exercises[0]
    said = Diagnosis(id="sign", message="Something is to be seen.", hint="What is it?", more=(words,))
    return dataclasses.replace(report, exercises=(dataclasses.replace(first, diagnoses=(said,)), *report.exercises[1:]))


@pytest.fixture(scope="module")
def report() -> Report:
    return InProcessRun(two_seeds("two_layer_mse")[0], "").report(two_seeds("two_layer_mse")[0])


@pytest.mark.parametrize(
    "words", ["Try x.T @ dz1 here.", "Is it (x.mT) @ (dz1)?", "xᵀ@dz1", "da1 · (z1 > 0)", "2*(yhat − y)/len(y)"]
)
def test_a_planted_expression_is_found(report: Report, words: str) -> None:
    documented = dict(documents(with_words(report, words)))

    assert told(documented["html"], expressions("two_layer_mse"))
    assert told(documented["json"], expressions("two_layer_mse"))
    assert not told(dict(documents(report))["html"], expressions("two_layer_mse"))


@pytest.mark.parametrize(
    ("form", "is_found"), [("{:.4g}", True), ("{:.3e}", True), ("{:.17g}", True), ("{:.1e}", False)]
)
def test_a_planted_value_is_found(report: Report, form: str, is_found: bool) -> None:
    """Of a hidden case's reference, argument or worst entry; two digits of its size may be told."""
    case = next(case for case in build_cases(two_seeds("two_layer_mse")[0])["grad_w1"] if not case.public)
    clean = dict(documents(report))

    for tensor in (case.expected[0], *case.arguments.values()):
        planted = with_words(report, form.format(float(tensor.flatten()[tensor.abs().argmax()]) / 1.7654321))
        for name, text in documents(planted):
            if name in ("html", "json"):
                assert (not numbers(text) <= numbers(clean[name])) is is_found


def test_the_corpus_is_scanned_whole() -> None:
    """No wrong answer is left out of the rounds."""
    for assignment_id in ASSIGNMENTS:
        together = "\n".join(rounds(assignment_id))
        for folder in (CORPUS / assignment_id).glob("wrong_*"):
            assert Path(folder / "answers.py").read_text(encoding="utf-8") in together
