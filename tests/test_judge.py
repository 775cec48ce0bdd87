"""The judge decides the outcome, points and sentence of an exercise, its notices and flags, and what stays hidden."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grader.calling.exercise import Exercise
from grader.execution.calls import Returned, Told
from grader.execution.channel import Reply
from grader.execution.record import Attempt, Execution
from grader.judge import judge_exercise
from grader.model import CallError, CaseResult, Code, ExerciseResult, Flag, Outcome, WorstEntry
from grader.notebook.functions import Definition, FunctionIndex
from grader.notebook.read import Notebook
from grader.reference.cases import Case
from tests.case_samples import (
    EXPECTED,
    EXPECTED_BIAS,
    LAYER,
    RAISED,
    WEIGHT,
    answered,
    case_of,
    failed,
)

PUBLIC = case_of("mnist")
HIDDEN = case_of("vjp", public=False, dtype=torch.float64)
PAIR = case_of("mnist", EXPECTED, EXPECTED_BIAS)
RIGHT = EXPECTED.float()
ONE_WRONG = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
SYNTAX_ERROR = CallError(type="SyntaxError", message="invalid syntax (line 2)", cell=3, line=2)


def definition_of(name: str = "grad_w", *, cell: int = 4, **details: Any) -> Definition:
    code = Code(text=f"def {name}(x, dz): ...", cell=cell, line=1)
    return Definition(name=name, code=code, **({"is_blank": False} | details))


def index_of(*definitions: Definition, broken: dict[str, int] | None = None) -> FunctionIndex:
    by_name: dict[str, tuple[Definition, ...]] = {}
    for definition in definitions:
        by_name[definition.name] = (*by_name.get(definition.name, ()), definition)
    return FunctionIndex(definitions=by_name, syntax_errors={3: SYNTAX_ERROR}, broken_names=broken or {})


DEFINED = index_of(definition_of("grad_w"), definition_of("grad_layer"))


def judged(
    *returned: Returned,
    exercise: Exercise = WEIGHT,
    functions: FunctionIndex = DEFINED,
    reply: Reply | None = None,
    errors: dict[int, CallError] | None = None,
    stopped: str | None = None,
    autograd: str = "forbid",
    practice: Sequence[Returned] = (),
    told: Sequence[Told] = (),
) -> tuple[ExerciseResult, tuple[Flag, ...]]:
    replies = {exercise.name: reply or Reply(status="done"), "grad_b": Reply(status="done")}
    execution = Execution(executed=4, errors=errors or {}, stopped=stopped, replies=replies, layers=())
    attempt = Attempt(notebook=Notebook.of([]), functions=functions, execution=execution)
    return judge_exercise(exercise, attempt, returned, practice=practice, told=told, autograd=autograd)


# ------------------------------------------------------------------------------------ a function that can be called


@pytest.mark.parametrize(
    ("tensor", "outcome", "message"),
    [
        (RIGHT, Outcome.MATCH, "grad_w is right."),
        (EXPECTED, Outcome.MATCH, "grad_w is right."),
        (ONE_WRONG, Outcome.MISMATCH, "grad_w has the right shape, but 1 of 4 entries is wrong{where}."),
        (-RIGHT, Outcome.MISMATCH, "grad_w has the right shape, but all of its entries are wrong{where}."),
        (RIGHT / 0, Outcome.NOT_FINITE, "grad_w returned numbers that are nan or inf{where}."),
        (RIGHT * math.nan, Outcome.NOT_FINITE, "grad_w returned numbers that are nan or inf{where}."),
        (RIGHT[:1], Outcome.WRONG_SHAPE, "grad_w returned the shape (1, 2); w has the shape (2, 2){where}."),
        (RIGHT.sum(), Outcome.WRONG_SHAPE, "grad_w returned the shape (); w has the shape (2, 2){where}."),
        (RIGHT.long(), Outcome.WRONG_DTYPE, "grad_w returned a tensor of dtype int64; the gradient should be {dtype}."),
        (
            RIGHT.half(),
            Outcome.WRONG_DTYPE,
            "grad_w returned a tensor of dtype float16; the gradient should be {dtype}.",
        ),
    ],
)
@pytest.mark.parametrize("case", [PUBLIC, HIDDEN], ids=["public", "hidden"])
def test_returned_tensors_are_compared(case: Case, tensor: torch.Tensor, outcome: Outcome, message: str) -> None:
    """The sentence names a hidden case, but no number from it."""
    result, flags = judged(answered(case, tensor))

    where, dtype = "", "float32" if case.public else "float64"
    assert result.outcome is outcome
    assert result.message == message.format(where=where, dtype=dtype)
    assert (result.points, result.max_points) == (2.0 if outcome is Outcome.MATCH else 0.0, 2.0)
    assert flags == ()
    assert (result.name, result.targets, result.arguments) == ("grad_w", ("w",), ("x", "dz"))
    assert (result.question, result.code) == ("The gradient of w.", definition_of().code)


NO_MESSAGE = CallError(type="KeyError", message="")
LONG = CallError(type="ValueError", message=f"{'a' * 300}\nsecond line")


@pytest.mark.parametrize(
    ("outcome", "details", "message"),
    [
        (Outcome.RAISED, {"error": RAISED}, "grad_w raised ValueError: bad shapes{where}."),
        (Outcome.RAISED, {"error": NO_MESSAGE}, "grad_w raised KeyError{where}."),
        (Outcome.RAISED, {"error": LONG}, f"grad_w raised ValueError: {'a' * 200}{{where}}."),
        (Outcome.RAISED, {}, "grad_w raised an exception{where}."),
        (Outcome.TIMED_OUT, {}, "grad_w did not return in time. Does it loop forever?"),
        (Outcome.OUT_OF_MEMORY, {}, "grad_w asked for more memory than it may use{where}."),
        (Outcome.CRASHED, {}, "grad_w ended its process instead of returning a gradient."),
        (Outcome.WRONG_TYPE, {"type": "NoneType"}, "grad_w returned None. Is there a `return`?"),
        (Outcome.WRONG_TYPE, {"type": "list"}, "grad_w returned a list; it should return a tensor."),
        (
            Outcome.WRONG_TYPE,
            {"type": "torch.Tensor"},
            "grad_w returned a tensor without ordinary numbers; it should return a dense tensor.",
        ),
        (
            Outcome.WRONG_DTYPE,
            {"dtypes": ("qint8",), "shapes": ((2, 2),)},
            "grad_w returned a tensor of dtype qint8; the gradient should be {dtype}.",
        ),
        (
            Outcome.WRONG_SHAPE,
            {"dtypes": ("float32",), "shapes": ((60_000, 60_000),)},
            "grad_w returned the shape (60000, 60000); w has the shape (2, 2){where}.",
        ),
    ],
)
@pytest.mark.parametrize("case", [PUBLIC, HIDDEN], ids=["public", "hidden"])
def test_a_call_without_tensors(case: Case, outcome: Outcome, details: dict[str, Any], message: str) -> None:
    """The call's outcome is the exercise's outcome, and gives no points."""
    result, _ = judged(failed(case, outcome, **details))

    where, dtype = "", "float32" if case.public else "float64"
    assert (result.outcome, result.points) == (outcome, 0.0)
    assert result.message == message.format(where=where, dtype=dtype)
    assert result.error == details.get("error")
    (shown,) = result.cases
    assert (shown.outcome, shown.public, shown.error) == (outcome, case.public, details.get("error"))
    assert (shown.expected_shape, shown.expected_dtype) == ((2, 2), dtype)
    assert (shown.max_abs_error, shown.worst, shown.wrong_entries) == (None, None, None)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "all() received an invalid combination of arguments - got (bool), but expected one of:\n * (Tensor)\n",
            "all() received an invalid combination of arguments - got (bool)",
        ),
        (
            "Error(s) in loading state_dict for Net:\n\tsize mismatch for w1: copying",
            "Error(s) in loading state_dict for Net",
        ),
        ("einsum(): the operands do not fit: 2 and 3", "einsum(): the operands do not fit: 2 and 3"),
        (
            "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)",
            "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)",
        ),
        (
            "Changed by an inplace operation: it is at version 2; expected 0. Hint: " + "read " * 50,
            "Changed by an inplace operation: it is at version 2",
        ),
        ("many " * 100, ("many " * 40).strip()),
    ],
)
def test_a_message_is_cut_at_the_end_of_a_thought(message: str, said: str) -> None:
    error = CallError(type="RuntimeError", message=message)

    result, _ = judged(failed(PUBLIC, Outcome.RAISED, error=error))

    assert result.message == f"grad_w raised RuntimeError: {said}."


LAYERS = """
layer = Layer(w)
back = layer.backward(dz)
(back, layer.grads["w"], layer.grads["b"]) == (dx, dw, db)
"""


@pytest.mark.parametrize(
    ("equation", "absent", "message"),
    [
        (LAYERS, {0: "NoneType"}, "`layer.backward(dz)` returned None; it should be dx. Is there a `return`?"),
        (LAYERS, {1: "NoneType"}, "`layer.grads['w']` is None; it should be dw."),
        (LAYERS, {2: "list"}, "`layer.grads['b']` is a list; it should be db."),
        (
            "Layer(dz, w) == (dx, dw, db)",
            {1: "NoneType"},
            "In what Layer returned, dw is None. It should return (dx, dw, db).",
        ),
        (
            "(layer.backward(dz), layer.grads) == (dx, {'w': dw, 'b': db})",
            {1: "NoneType"},
            "In `layer.grads`, dw is None.",
        ),
        (
            "(Layer(dz), layer.grads) == (dx, {'w': dw, 'b': db})",
            {0: "tuple"},
            "`Layer(dz)` is a tuple; it should be dx.",
        ),
    ],
)
def test_what_is_no_tensor_is_named_as_the_call_names_it(equation: str, absent: dict[int, str], message: str) -> None:
    """A tuple around it that the author has made is not what a student returned."""
    layer = Exercise(name="Layer", targets=("x", "w", "b"), arguments=("dz", "w"), equation=equation)
    case = dataclasses.replace(PAIR, expected=(EXPECTED, EXPECTED, EXPECTED_BIAS))
    found = {part: EXPECTED for part in range(3) if part not in absent}

    result, _ = judged(
        failed(case, Outcome.WRONG_TYPE, type="tuple", collection="tuple", parts=3, absent=absent, parts_found=found),
        exercise=layer,
    )

    assert result.message == message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CallError(type="KeyError", message="'w'"), "KeyError: 'w', because nothing has set `layer.grads['w']`"),
        (CallError(type="KeyError", message="'w'", cell=3, line=2), "KeyError: 'w'"),  # in their own code
        (CallError(type="KeyError", message="'v'"), "KeyError: 'v'"),
        (CallError(type="ValueError", message="no 'w'"), "ValueError: no 'w'"),
    ],
)
def test_what_a_method_should_have_left_behind_is_named(error: CallError, said: str) -> None:
    layer = Exercise(name="Layer", targets=("x", "w", "b"), arguments=("dz", "w"), equation=LAYERS)

    result, _ = judged(failed(PAIR, Outcome.RAISED, error=error), exercise=layer)

    assert result.message == f"Layer raised {said}."


@pytest.mark.parametrize("detail", ["signal 9", "exit 3"])
def test_the_sentence_says_how_the_process_ended(detail: str) -> None:
    result, _ = judged(failed(PUBLIC, Outcome.CRASHED), reply=Reply(status="crashed", detail=detail))

    assert result.message == (f"grad_w ended its process ({detail}) instead of returning a gradient.")


@pytest.mark.parametrize(
    ("tensors", "outcome", "message", "target"),
    [
        ((EXPECTED, EXPECTED_BIAS), Outcome.MATCH, "grad_layer is right.", "w"),
        (
            (EXPECTED, EXPECTED_BIAS + 1),
            Outcome.MISMATCH,
            "The db of grad_layer has the right shape, but all of its entries are wrong.",
            "b",
        ),
        (
            (ONE_WRONG, EXPECTED_BIAS + 1),
            Outcome.MISMATCH,
            "The dw of grad_layer has the right shape, but 1 of 4 entries is wrong.",
            "w",
        ),
        (
            (EXPECTED, EXPECTED_BIAS[0]),
            Outcome.WRONG_SHAPE,
            "grad_layer returned the shape (2,) for db; b has the shape (1, 2).",
            "b",
        ),
        (
            (EXPECTED[0], EXPECTED_BIAS + 1),
            Outcome.WRONG_SHAPE,
            "grad_layer returned the shape (2,) for dw; w has the shape (2, 2).",
            "w",
        ),
        (
            (ONE_WRONG, EXPECTED_BIAS.long()),
            Outcome.WRONG_DTYPE,
            "grad_layer returned a tensor of dtype int64 for db; the gradient should be float32.",
            "b",
        ),
    ],
)
def test_the_worst_of_several_targets_is_shown(
    tensors: tuple[torch.Tensor, ...], outcome: Outcome, message: str, target: str
) -> None:
    """Sentence, shapes and numbers describe one target: the first whose outcome says most."""
    result, _ = judged(answered(PAIR, *tensors), exercise=LAYER)

    number = ("w", "b").index(target)
    (shown,) = result.cases
    assert (result.outcome, result.message, shown.part) == (outcome, message, f"d{target}")
    assert shown.shape == tuple(tensors[number].shape)
    assert shown.expected_shape == tuple(PAIR.expected[number].shape)
    assert shown.dtype == str(tensors[number].dtype).removeprefix("torch.")
    compared = outcome in (Outcome.MATCH, Outcome.MISMATCH)
    assert shown.entries == (PAIR.expected[number].numel() if compared else None)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torch.Tensor", "grad_layer returned a torch.Tensor; it should return a tuple of 2 tensors."),
        ("tuple", "grad_layer returned a tuple of 3; it should return a tuple of 2 tensors."),
        ("NoneType", "grad_layer returned None. Is there a `return`?"),
    ],
)
def test_several_targets_must_be_returned_as_a_tuple(kind: str, message: str) -> None:
    collection = "tuple" if kind == "tuple" else None
    result, _ = judged(failed(PAIR, Outcome.WRONG_TYPE, type=kind, collection=collection, parts=3), exercise=LAYER)

    assert (result.outcome, result.message) == (Outcome.WRONG_TYPE, message)


# ------------------------------------------------------------------------------------------- what is kept back


def test_a_public_case_is_shown_in_full() -> None:
    off = RIGHT + torch.tensor([[0.0, 0.123456], [0.0, 0.0]])

    result, _ = judged(answered(PUBLIC, off))

    (shown,) = result.cases
    assert shown.max_abs_error == pytest.approx(0.123456, rel=1e-6)
    assert shown.max_rel_error == pytest.approx(0.123456 / 4, rel=1e-6)
    assert len(f"{shown.tolerance}") > 10
    assert shown.worst == WorstEntry(index=(0, 1), got=pytest.approx(2.123456), expected=2.0)
    assert (shown.wrong_entries, shown.entries, shown.type) == (1, 4, "torch.Tensor")
    assert shown.part is None


@given(st.lists(st.sampled_from([o for o in Outcome if o.value not in ("skipped", "grader_error")]), min_size=1))
def test_a_hidden_case_is_one_word(outcomes: list[Outcome]) -> None:
    """No number, shape, type or error stands beside it, and it is not in the result without hidden cases."""
    told = [Told(case=f"hidden{number}", outcome=outcome) for number, outcome in enumerate(outcomes)]

    result, _ = judged(answered(PUBLIC, RIGHT), told=told)

    assert result.outcome is min([*outcomes, Outcome.MATCH], key=list(Outcome).index)
    assert result.cases[1:] == tuple(CaseResult(name=word.case, outcome=word.outcome, public=False) for word in told)
    assert result.error is None
    assert (result.points == 2.0) is (set(outcomes) == {Outcome.MATCH})
    assert result.before_hidden is not None
    without = judged(answered(PUBLIC, RIGHT))[0]
    assert dataclasses.replace(result.before_hidden, views=()) == dataclasses.replace(without, views=())


def test_practice_explains_and_decides_nothing() -> None:
    """The sentence about a hidden case is that of a practice case with the same outcome, if there is one."""
    practice = [answered(HIDDEN, ONE_WRONG), failed(HIDDEN, Outcome.RAISED, error=RAISED)]

    for outcome, message in (
        (Outcome.MATCH, "grad_w is right."),
        (Outcome.MISMATCH, "grad_w has the right shape, but 1 of 4 entries is wrong (case vjp)."),
        (Outcome.RAISED, "grad_w raised ValueError: bad shapes (case vjp)."),
        (Outcome.NOT_FINITE, "grad_w returned numbers that are nan or inf in a hidden case."),
    ):
        result, _ = judged(answered(PUBLIC, RIGHT), practice=practice, told=[Told(case="vjp", outcome=outcome)])

        assert (result.outcome, result.message) == (outcome, message)


@pytest.mark.parametrize("policy", ["forbid", "flag", "allow"])
def test_the_use_of_autograd_in_a_hidden_case_is_flagged_without_evidence(policy: str) -> None:
    told = [
        Told(case="vjp", outcome=Outcome.FORBIDDEN) if policy == "forbid" else
        Told(case="vjp", outcome=Outcome.MATCH, uses_autograd=policy == "flag")
    ]  # fmt: skip

    result, flags = judged(answered(PUBLIC, RIGHT), told=told, autograd=policy)

    seen = Flag(id="autograd", exercise="grad_w", evidence="it used autograd in a hidden case", is_hidden=True)
    assert flags == (() if policy == "allow" else (seen,))
    assert result.outcome is (Outcome.FORBIDDEN if policy == "forbid" else Outcome.MATCH)


def test_pictures_show_the_public_batch() -> None:
    """Each target has a float32 array: the real part of complex numbers, and nothing for very large tensors."""
    layer, _ = judged(answered(case_of("vjp", EXPECTED, EXPECTED_BIAS, public=False), EXPECTED, EXPECTED_BIAS),
                      answered(PAIR, ONE_WRONG, EXPECTED_BIAS), exercise=LAYER)  # fmt: skip
    assert [view.part for view in layer.views] == ["dw", "db"]
    assert layer.views[0].got.tolist() == ONE_WRONG.tolist()
    assert layer.views[0].expected.tolist() == EXPECTED.tolist()
    assert {str(view.got.dtype) for view in layer.views} == {"float32"}

    (view,) = judged(answered(PUBLIC, RIGHT.to(torch.complex64) * 1j + 7))[0].views
    assert view.got.tolist() == [[7.0, 7.0], [7.0, 7.0]]
    (view,) = judged(answered(PUBLIC, torch.zeros(1).expand(4_000_001)))[0].views
    assert view.got.size == 0
    assert judged(failed(PUBLIC, Outcome.WRONG_TYPE, tensors=(RIGHT, RIGHT)))[0].views == ()


# --------------------------------------------------------------------------------------------------- several cases


@pytest.mark.parametrize(
    ("outcomes", "winner"),
    [
        ("crashed timed_out", "crashed"),
        ("timed_out out_of_memory", "timed_out"),
        ("out_of_memory raised", "out_of_memory"),
        ("raised wrong_type", "raised"),
        ("wrong_type wrong_dtype", "wrong_type"),
        ("wrong_dtype wrong_shape", "wrong_dtype"),
        ("wrong_shape not_finite", "wrong_shape"),
        ("not_finite mismatch", "not_finite"),
        ("mismatch match", "mismatch"),
        ("missing crashed", "missing"),
        ("missing match", "missing"),
    ],
)
@pytest.mark.parametrize("step", [1, -1], ids=["in order", "reversed"])
def test_which_of_several_outcomes_counts(outcomes: str, winner: str, step: int) -> None:
    """The outcome that says most counts, in any order of the cases. One wrong case costs all points."""
    cases = [PUBLIC, HIDDEN][::step]
    returned = [call_with(Outcome(name), case) for name, case in zip(outcomes.split(), cases, strict=True)]

    result, _ = judged(*returned)

    assert (result.outcome.value, result.points) == (winner, 0.0)
    assert [case.outcome.value for case in result.cases] == ([] if winner == "missing" else outcomes.split())


@given(st.lists(st.sampled_from([o for o in Outcome if o.value not in ("missing", "skipped")]), min_size=1, max_size=5))
def test_points_are_given_only_if_every_case_is_right(outcomes: list[Outcome]) -> None:
    result, _ = judged(*(call_with(outcome, PUBLIC) for outcome in outcomes))

    assert result.outcome is min(outcomes, key=list(Outcome).index)
    assert result.points == (2.0 if set(outcomes) == {Outcome.MATCH} else 0.0)


def test_the_sentence_describes_the_first_case_with_the_outcome() -> None:
    """A public case comes first, and its name is not shown. The first error is shown."""
    second = CallError(type="KeyError", message="2")
    on_both, _ = judged(failed(PUBLIC, Outcome.RAISED, error=RAISED), failed(HIDDEN, Outcome.RAISED, error=second))
    on_hidden, _ = judged(answered(PUBLIC, RIGHT), failed(HIDDEN, Outcome.RAISED, error=second))

    assert (on_both.message, on_both.error) == ("grad_w raised ValueError: bad shapes.", RAISED)
    assert (on_hidden.message, on_hidden.error) == ("grad_w raised KeyError: 2 (case vjp).", second)


def call_with(outcome: Outcome, case: Case) -> Returned:
    """A call that has this outcome at once, or after the comparison."""
    tensors = {
        Outcome.MATCH: EXPECTED,
        Outcome.MISMATCH: EXPECTED + 1,
        Outcome.NOT_FINITE: EXPECTED / 0,
        Outcome.WRONG_SHAPE: EXPECTED[0],
        Outcome.WRONG_DTYPE: EXPECTED.long(),
    }
    return answered(case, tensors[outcome]) if outcome in tensors else failed(case, outcome)


# --------------------------------------------------------------------------- a function that could not be called


BLANK_ERROR = CallError(type="NotImplementedError", message="grad_w is still blank")
UNWRITTEN = failed(PUBLIC, Outcome.RAISED, error=BLANK_ERROR, is_blank=True)
BLANK = definition_of(is_blank=True)


@pytest.mark.parametrize(
    ("definitions", "returned", "outcome"),
    [
        ((BLANK,), [UNWRITTEN, UNWRITTEN], Outcome.BLANK),
        ((definition_of(cell=2), definition_of(cell=4, is_blank=True)), [UNWRITTEN], Outcome.BLANK),
        ((), [UNWRITTEN], Outcome.BLANK),  # a blank one from a module
        ((BLANK,), [failed(PUBLIC, Outcome.WRONG_TYPE, type="NoneType")], Outcome.BLANK),  # `pass`
        ((), [failed(PUBLIC, Outcome.WRONG_TYPE, type="NoneType")], Outcome.WRONG_TYPE),
        ((definition_of(),), [failed(PUBLIC, Outcome.WRONG_TYPE, type="NoneType")], Outcome.WRONG_TYPE),
        ((definition_of(),), [UNWRITTEN], Outcome.RAISED),  # `raise` was left above real code
        ((BLANK,), [answered(PUBLIC, RIGHT)], Outcome.MATCH),  # something else ran
        ((BLANK,), [answered(PUBLIC, ONE_WRONG)], Outcome.MISMATCH),
        ((BLANK,), [UNWRITTEN, answered(HIDDEN, EXPECTED)], Outcome.RAISED),
        ((BLANK,), [failed(PUBLIC, Outcome.RAISED, error=BLANK_ERROR)], Outcome.RAISED),  # of a helper
        ((BLANK,), [failed(PUBLIC, Outcome.TIMED_OUT)], Outcome.TIMED_OUT),
    ],
)
def test_what_a_call_did_says_whether_a_function_is_blank(
    definitions: tuple[Definition, ...], returned: list[Returned], outcome: Outcome
) -> None:
    """The code alone never does."""
    ran = {"mnist": ({"place": [definitions[-1].code.cell, 1]}, b"")} if definitions else {}

    result, flags = judged(*returned, functions=index_of(*definitions), reply=Reply(status="done", records=ran))

    assert (result.outcome, flags) == (outcome, ())
    if outcome is Outcome.BLANK:
        assert (result.message, result.points) == ("grad_w is still blank.", 0.0)
        assert (result.cases, result.notices, result.error, result.views) == ((), (), None, ())
        assert result.code == (definitions[-1].code if definitions else None)


def test_a_cell_with_a_syntax_error() -> None:
    """The error is the syntax error of the cell. If a function could be called, no other cell matters."""
    broken, _ = judged(failed(PUBLIC, Outcome.MISSING), functions=index_of(broken={"grad_w": 3}))
    elsewhere, _ = judged(answered(PUBLIC, RIGHT), functions=index_of(broken={"grad_w": 3}))

    assert broken.outcome is Outcome.SYNTAX_ERROR
    assert broken.message == "In [3] is not Python: invalid syntax (line 2)."
    assert (broken.error, broken.code, broken.cases) == (SYNTAX_ERROR, None, ())
    assert (elsewhere.outcome, elsewhere.points, elsewhere.error) == (Outcome.MATCH, 2.0, None)


@pytest.mark.parametrize(("cell", "outcome"), [(2, Outcome.SYNTAX_ERROR), (4, Outcome.BLANK)])
def test_a_syntax_error_below_a_blank_is_what_went_wrong(cell: int, outcome: Outcome) -> None:
    """One above it has nothing to do with it, and is not shown."""
    blank = definition_of(cell=cell, is_blank=True)

    result, _ = judged(UNWRITTEN, functions=index_of(blank, broken={"grad_w": 3}))

    assert result.outcome is outcome
    assert result.error == (SYNTAX_ERROR if outcome is Outcome.SYNTAX_ERROR else None)


def test_a_value_in_place_of_a_function_is_not_a_syntax_error() -> None:
    result, _ = judged(failed(PUBLIC, Outcome.MISSING, type="int"), functions=index_of(broken={"grad_w": 3}))

    assert (result.outcome, result.error) == (Outcome.MISSING, None)


CELL_ERROR = CallError(type="NameError", message="name 'torch' is not defined", cell=4)


@pytest.mark.parametrize(
    ("functions", "kind", "errors", "message"),
    [
        (DEFINED, "int", {}, "After the notebook ran, grad_w was an int, not a function."),
        (DEFINED, "torch.Tensor", {}, "After the notebook ran, grad_w was a torch.Tensor, not a function."),
        (DEFINED, None, {}, "grad_w is in In [4], but it was never defined."),
        (DEFINED, None, {2: CELL_ERROR}, "grad_w is in In [4], but it was never defined."),
        (
            DEFINED,
            None,
            {4: CELL_ERROR},
            "grad_w is in In [4], but it was never defined, because that cell stopped: "
            "NameError: name 'torch' is not defined.",
        ),
        (
            index_of(definition_of("grad_w_")),
            None,
            {},
            "There is no function grad_w, but there is one called grad_w_. Was it renamed?",
        ),
        (
            index_of(definition_of("grad_b"), definition_of("softmax")),  # grad_b is another exercise
            None,
            {},
            "There is no function grad_w in the notebook. Was its cell deleted, or turned into a text cell?",
        ),
    ],
)
def test_why_a_function_is_missing(
    functions: FunctionIndex, kind: str | None, errors: dict[int, CallError], message: str
) -> None:
    result, _ = judged(
        failed(PUBLIC, Outcome.MISSING, type=kind),
        failed(HIDDEN, Outcome.MISSING, type=kind),
        functions=functions,
        errors=errors,
    )

    assert (result.outcome, result.message) == (Outcome.MISSING, message)
    assert (result.points, result.cases, result.error) == (0.0, (), None)


@pytest.mark.parametrize(
    ("functions", "kind", "message"),
    [
        (index_of(), None, "There is no class Net in the notebook. Was its cell deleted, or turned into a text cell?"),
        (
            index_of(definition_of("Nets")),
            None,
            "There is no class Net, but there is one called Nets. Was it renamed?",
        ),
        (index_of(definition_of("Net")), "int", "After the notebook ran, Net was an int, not a class."),
    ],
)
def test_why_a_class_is_missing(functions: FunctionIndex, kind: str | None, message: str) -> None:
    """It is called what it is."""
    net = dataclasses.replace(WEIGHT, name="Net", is_class=True)

    result, _ = judged(failed(PUBLIC, Outcome.MISSING, type=kind), exercise=net, functions=functions)

    assert (result.outcome, result.message) == (Outcome.MISSING, message)


@pytest.mark.parametrize(
    ("kind", "stopped", "outcome", "message"),
    [
        (
            "TimeoutError",
            "The notebook took longer than 60 seconds and was stopped.",
            Outcome.TIMED_OUT,
            "grad_w could not be called. The notebook took longer than 60 seconds and was stopped.",
        ),
        (
            "KernelDied",
            "The kernel died while In [2] was running.",
            Outcome.CRASHED,
            "grad_w could not be called. The kernel died while In [2] was running.",
        ),
        (
            "ValueError",
            None,
            Outcome.CRASHED,
            "grad_w could not be called. After the notebook ran, its process no longer answered.",
        ),
    ],
)
def test_a_notebook_whose_process_is_gone(kind: str, stopped: str | None, outcome: Outcome, message: str) -> None:
    result, _ = judged(
        failed(PUBLIC, Outcome.CRASHED),
        reply=Reply(status="unreachable"),
        errors={1: CallError(type="ValueError", message=""), 2: CallError(type=kind, message="")},
        stopped=stopped,
    )

    assert (result.outcome, result.message, result.points) == (outcome, message, 0.0)


# ---------------------------------------------------------------------------------------------- autograd, notices

MENTIONS = "In [4], line 3: the source mentions .backward()"
USES_AUTOGRAD = index_of(definition_of(autograd=(MENTIONS,)))


@pytest.mark.parametrize(
    ("policy", "outcome", "points", "flagged"),
    [
        ("forbid", Outcome.FORBIDDEN, 0.0, True),
        ("flag", Outcome.MATCH, 2.0, True),
        ("allow", Outcome.MATCH, 2.0, False),
    ],
)
def test_an_assignment_may_forbid_flag_or_allow_autograd(
    policy: str, outcome: Outcome, points: float, flagged: bool
) -> None:
    """What the code mentions is another flag. No piece of evidence is repeated."""
    traced = ("called aten::threshold_backward",)

    result, flags = judged(
        answered(PUBLIC, RIGHT, autograd=traced),
        answered(HIDDEN, EXPECTED, autograd=traced),
        functions=USES_AUTOGRAD,
        autograd=policy,
    )

    evidence = {"autograd": "when called, it called aten::threshold_backward", "source_mentions_autograd": MENTIONS}
    assert (result.outcome, result.points) == (outcome, points)
    assert [(flag.id, flag.exercise, flag.evidence) for flag in flags] == [
        (name, "grad_w", text) for name, text in evidence.items() if flagged
    ]
    assert result.message == (
        "grad_w lets autograd do the work: when called, it called aten::threshold_backward. "
        "Derive this gradient by hand."
        if policy == "forbid"
        else "grad_w is right."
    )


@pytest.mark.parametrize(
    "call", [answered(PUBLIC, RIGHT), answered(PUBLIC, ONE_WRONG), failed(PUBLIC, Outcome.MISSING)]
)
def test_nobody_is_accused_by_a_word(call: Returned) -> None:
    """What the code mentions costs nothing, and students' sentences say nothing of it."""
    result, flags = judged(call, functions=USES_AUTOGRAD)
    without, _ = judged(call)

    assert (result.outcome, result.points, result.message) == (without.outcome, without.points, without.message)
    assert [flag.id for flag in flags] == ["source_mentions_autograd"]


def test_autograd_is_forbidden_in_wrong_functions_too() -> None:
    wrong, _ = judged(answered(PUBLIC, ONE_WRONG, autograd=("used forward-mode differentiation",)))

    assert wrong.outcome is Outcome.FORBIDDEN
    assert "when called, it used forward-mode differentiation." in wrong.message
    assert [case.outcome for case in wrong.cases] == [Outcome.FORBIDDEN]


@pytest.mark.parametrize(
    ("call", "notice", "message"),
    [
        (
            answered(PUBLIC, RIGHT, mutated=("x", "w", "dz", "b", "a")),
            "mutates_input",
            "grad_w changes its argument a, b, dz, w, x in place, and so the caller's tensor, too. Work on a clone.",
        ),
        (
            answered(PUBLIC, RIGHT, requires_grad=True),
            "requires_grad",
            "grad_w returns a tensor that requires grad: autograd is still on.",
        ),
        (
            answered(PUBLIC, EXPECTED),
            "wider_dtype",
            "grad_w returns float64 for float32 arguments, which takes twice the memory.",
        ),
        (
            answered(HIDDEN, RIGHT, argument_dtype=torch.float32),
            "float32_only",
            "grad_w works only in float32: it makes a tensor of a fixed dtype (try `dtype=` or `*_like`).",
        ),
        (
            answered(PUBLIC, RIGHT, collection="tuple"),
            "collection",
            "grad_w returns a tuple of one tensor, not the tensor. Is there a comma at the end?",
        ),
        (
            answered(PUBLIC, RIGHT, collection="dict"),
            "collection",
            "grad_w returns a dict of one tensor, not the tensor.",
        ),
    ],
)
def test_a_notice_costs_no_points(call: Returned, notice: str, message: str) -> None:
    """It is given once, even if several cases show it."""
    result, _ = judged(call, call)

    assert [(each.id, each.message) for each in result.notices] == [(notice, message)]
    assert (result.outcome, result.points) == (Outcome.MATCH, 2.0)


def test_the_last_of_several_definitions_counts() -> None:
    last = definition_of(cell=6)

    result, _ = judged(answered(PUBLIC, RIGHT), functions=index_of(definition_of(cell=2), last))

    assert result.code == last.code
    assert [each.message for each in result.notices] == [
        "grad_w is defined 2 times (In [2], In [6]): the last one counts."
    ]


@pytest.mark.parametrize(("collection", "is_noticed"), [("tuple", False), ("list", True), ("named tuple", True)])
def test_several_targets_may_come_in_any_collection(collection: str, is_noticed: bool) -> None:
    result, _ = judged(answered(PAIR, RIGHT, EXPECTED_BIAS.float(), collection=collection, parts=2), exercise=LAYER)

    said = f"grad_layer returns a {collection} where a tuple of 2 tensors is asked for."
    assert [notice.message for notice in result.notices] == [said] * is_noticed
    assert result.outcome is Outcome.MATCH


def test_the_definition_that_ran_is_shown() -> None:
    """It need not be the last one. Two branches in one cell are one definition."""
    first, last = definition_of(cell=2), definition_of(cell=6)
    ran = Reply(status="done", records={"mnist": ({"place": [2, 1]}, b"")})

    result, _ = judged(answered(PUBLIC, RIGHT), functions=index_of(first, last), reply=ran)
    branches, _ = judged(answered(PUBLIC, RIGHT), functions=index_of(first, first), reply=ran)

    assert result.code == first.code
    assert [each.message for each in result.notices] == [
        "grad_w is defined 2 times (In [2], In [6]): the one in In [2] counts."
    ]
    assert branches.notices == ()


def test_a_blank_is_not_shown_as_the_code_of_something_else_that_ran() -> None:
    result, _ = judged(answered(PUBLIC, RIGHT), functions=index_of(BLANK))

    assert (result.outcome, result.code) == (Outcome.MATCH, None)


def test_tensors_that_are_too_large_have_a_shape() -> None:
    """It is that of the first target with another shape than it should have."""
    large = failed(PAIR, Outcome.WRONG_SHAPE, shapes=((2, 2), (60_000, 60_000)), dtypes=("float32", "float32"))

    result, _ = judged(large, exercise=LAYER)

    assert result.message == "grad_layer returned the shape (60000, 60000) for db; b has the shape (1, 2)."
    assert (result.cases[0].part, result.cases[0].shape) == ("db", (60_000, 60_000))


def test_an_ordinary_function_has_no_notices() -> None:
    assert judged(answered(PUBLIC, RIGHT), answered(HIDDEN, EXPECTED))[0].notices == ()
