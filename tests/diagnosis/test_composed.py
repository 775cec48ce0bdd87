"""An exercise that calls others which are wrong is explained by them, where they may be the reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import pytest

from grader.calling.exercise import Exercise
from grader.calling.tables import Counterexample
from grader.diagnosis.composed import composed, names_used
from grader.model import Code, Diagnosis, ExerciseResult, Outcome
from grader.notebook.functions import Definition

OWN = Diagnosis(id="sign", message="Every entry of your dw has the wrong sign.", hint="Why?")
NAMES = ("net", "relu", "softmax", "affine", "loss", "lines")
EXERCISES = [Exercise(name=name, targets=("w",), arguments=("x",), is_lines=name == "lines") for name in NAMES]


def result(
    name: str, outcome: Outcome, *, before: Outcome | None = None, fingerprint: str | None = None
) -> ExerciseResult:
    """A result; `before` is its outcome without hidden cases."""
    (exercise,) = (each for each in EXERCISES if each.name == name)
    is_wrong = outcome is not Outcome.MATCH
    known = {
        "diagnoses": (OWN,) if is_wrong else (),
        "counterexample": Counterexample(rows=1, partway="Up to here it is right.") if is_wrong else None,
    }
    found = ExerciseResult.of(exercise, outcome, "", fingerprint=fingerprint, **known)
    if before is None:
        return found
    return dataclasses.replace(found, before_hidden=ExerciseResult.of(exercise, before, "", diagnoses=(OWN,)))


def explained(*results: ExerciseResult, uses: dict[str, Collection[str]] | None = None) -> dict[str, ExerciseResult]:
    found = composed(results, EXERCISES, uses or {"net": NAMES[1:]})
    return {each.name: each for each in found}


def test_one_that_calls_a_wrong_one() -> None:
    """Nothing is said about its numbers, and it keeps its outcome and points. The other one keeps its explanation."""
    found = explained(result("net", Outcome.MISMATCH), result("softmax", Outcome.MISMATCH))

    (diagnosis,) = found["net"].diagnoses
    assert diagnosis.id == "uses_wrong_function"
    assert diagnosis.message == (
        "net uses your softmax, which is not right yet. Correct softmax first: what is left of this mistake is seen "
        "then."
    )
    assert (diagnosis.hint, diagnosis.more, diagnosis.analogy) == ("", (), "")
    assert found["net"].counterexample == Counterexample(rows=1)
    assert (found["net"].outcome, found["net"].points) == (Outcome.MISMATCH, 0.0)
    assert found["softmax"] == result("softmax", Outcome.MISMATCH)


def test_one_that_is_wrong_by_itself() -> None:
    """Those that it calls are right; and a wrong one is none of them, or only has the name of lines."""
    for others, uses in (
        ([result("softmax", Outcome.MATCH)], ("softmax",)),
        ([result("softmax", Outcome.MATCH), result("relu", Outcome.MISMATCH)], ("softmax",)),
        ([result("lines", Outcome.MISMATCH)], ("lines",)),
        ([result("softmax", Outcome.GRADER_ERROR)], ("softmax",)),
        ([], ("<b>softmax</b>", "softmax", "net")),
    ):
        wrong = result("net", Outcome.MISMATCH)
        assert explained(wrong, *others, uses={"net": uses})["net"] == wrong


def test_one_that_is_right_is_not_explained() -> None:
    assert explained(result("net", Outcome.MATCH), result("softmax", Outcome.MISMATCH))["net"].diagnoses == ()


@pytest.mark.parametrize(
    ("effect", "cause", "may_be"),
    [
        ("mismatch", "blank", True),
        ("raised", "missing", True),
        ("raised", "syntax_error", True),
        ("wrong_shape", "wrong_shape", True),
        ("not_finite", "raised", True),
        ("timed_out", "timed_out", True),
        ("crashed", "out_of_memory", True),
        ("timed_out", "mismatch", False),
        ("forbidden", "forbidden", True),
        ("forbidden", "mismatch", False),
        ("blank", "mismatch", False),
        ("missing", "missing", False),
        ("syntax_error", "mismatch", False),
    ],
)
def test_outcomes_that_may_explain_one_another(effect: str, cause: str, may_be: bool) -> None:
    """Who loops forever, or uses autograd, does not do so because another one returns wrong numbers."""
    found = explained(result("net", Outcome(effect)), result("softmax", Outcome(cause)))["net"]

    assert (found.diagnoses != (OWN,)) is may_be


def test_several_wrong_ones_are_named() -> None:
    """In the order of the notebook, and not more than four."""
    net, others = result("net", Outcome.RAISED), [result(name, Outcome.MISMATCH) for name in NAMES[1:5]]

    two, four = explained(net, *others[:2])["net"], explained(net, *others)["net"]

    assert two.diagnoses[0].message.startswith("net uses your relu and softmax, which are not right yet. Correct those")
    assert four.diagnoses[0].message.startswith("net uses your relu, softmax, affine and loss, which are")


def test_a_circle_explains_nothing() -> None:
    """Both keep their own explanations; one that calls into the circle does not."""
    wrong = [result(name, Outcome.MISMATCH) for name in ("net", "relu", "softmax", "affine")]
    uses = {"net": ("relu",), "relu": ("softmax",), "softmax": ("affine", "relu"), "affine": ()}

    found = explained(*wrong, uses=uses)

    ids = {name: each.diagnoses[0].id for name, each in found.items()}
    assert ids == {"net": "uses_wrong_function", "relu": "sign", "softmax": "uses_wrong_function", "affine": "sign"}
    assert "affine" in found["softmax"].diagnoses[0].message
    assert "relu" not in found["softmax"].diagnoses[0].message


def test_hidden_cases_explain_nothing() -> None:
    """Neither before they may be seen, nor after: a practice batch has to show that a function is wrong."""
    net = result("net", Outcome.MISMATCH, before=Outcome.MISMATCH)

    only_hidden = explained(net, result("softmax", Outcome.MISMATCH, before=Outcome.MATCH))["net"]
    practised = explained(net, result("softmax", Outcome.MISMATCH, before=Outcome.MATCH, fingerprint="0f"))["net"]
    seen = explained(net, result("softmax", Outcome.MISMATCH, before=Outcome.MISMATCH))["net"]

    before = [each.before_hidden for each in (only_hidden, practised, seen)]
    assert [each.diagnoses[0].id for each in (only_hidden, practised, seen)] == ["sign", *["uses_wrong_function"] * 2]
    assert [each.diagnoses[0].id for each in before if each] == ["sign", "sign", "uses_wrong_function"]
    unseen = result("net", Outcome.MISMATCH, before=Outcome.MATCH)
    assert explained(unseen, result("softmax", Outcome.MISMATCH))["net"] == unseen


def test_an_equation_may_use_other_exercises() -> None:
    """The names in a student's code are data: any text may be among them."""
    net = dataclasses.replace(EXERCISES[0], equation="net([relu(3), torch.softmax(x)]) == dw")
    definition = Definition(
        name="net", code=Code(text="", cell=1, line=1), is_blank=False, calls=("affine", "net", "<b>x</b>")
    )

    assert names_used(net, None) == {"relu"}
    assert names_used(net, definition) == {"relu", "affine", "<b>x</b>"}
    assert names_used(EXERCISES[0], None) == frozenset()
