"""Anything that the student's process writes about a call is turned into plain values and an outcome."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from grader.execution.border import safe_text
from grader.execution.calls import Returned, Told, place_in, read_call, read_losses, read_told
from grader.execution.channel import Reply
from grader.execution.record import Attempt, Execution
from grader.execution.tensors import read_tensors
from grader.judge import judge_exercise
from grader.model import CallError, Outcome
from grader.notebook.functions import FunctionIndex
from grader.notebook.read import Notebook
from grader.reference.cases import Case
from tests.case_samples import EXPECTED, EXPECTED_BIAS, LAYER, WEIGHT, case_of, payload_of

PUBLIC = case_of("mnist")
HIDDEN = case_of("vjp", public=False, dtype=torch.float64)
PAIR = case_of("mnist", EXPECTED, EXPECTED_BIAS)
NOTEBOOK = Notebook.of(["import torch", "\n\ndef grad_w(x, dz):\n    return x @ dz"])
RETURNED = {
    "status": "returned",
    "type": "torch.Tensor",
    "collection": None,
    "parts": 1,
    "shapes": [[2, 2]],
    "dtypes": ["float32"],
}


def read(header: dict[str, Any], payload: bytes = b"", *, case: Case = PUBLIC) -> Returned:
    """The call that a single record describes."""
    reply = Reply(status="done", records={case.name: (header, payload)})
    (call,) = read_call([case], reply, NOTEBOOK)
    return call


def payload_with(*tensors: torch.Tensor) -> bytes:
    return payload_of({str(number): tensor for number, tensor in enumerate(tensors)})


# ---------------------------------------------------------------------------------------------------- what is expected


def test_returned_tensors_are_left_to_be_compared() -> None:
    header = RETURNED | {"requires_grad": True, "autograd": ["called f"], "mutated": ["dz"], "narrowed": True}

    call = read(header, payload_with(EXPECTED.float()), case=HIDDEN)

    assert call.outcome is None
    assert [tensor.tolist() for tensor in call.tensors] == [EXPECTED.tolist()]
    assert (call.shapes, call.dtypes, call.type) == (((2, 2),), ("float32",), "torch.Tensor")
    assert (call.requires_grad, call.autograd, call.mutated) == (True, ("called f",), ("dz",))
    assert call.argument_dtype is torch.float32
    assert read(RETURNED, payload_with(EXPECTED), case=HIDDEN).argument_dtype is torch.float64


def test_values_of_the_wrong_type_are_ignored() -> None:
    header = RETURNED | {"requires_grad": "yes", "autograd": "called f", "mutated": ["w", 3], "narrowed": 1}

    call = read(header, payload_with(EXPECTED), case=HIDDEN)

    assert (call.requires_grad, call.autograd, call.mutated) == (False, (), ())
    assert call.argument_dtype is torch.float64
    assert read(RETURNED | {"shapes": [[2**63, -1, True, 2.0, 3], 4]}).shapes == ((3,), ())


def test_shapes_and_dtypes_are_read_from_the_tensors() -> None:
    """If tensors arrived, the process's own description is ignored."""
    call = read(RETURNED | {"shapes": [[9, 9]], "dtypes": ["float99"]}, payload_with(EXPECTED[0]))

    assert (call.shapes, call.dtypes) == (((2,),), ("float64",))


@pytest.mark.parametrize(
    ("case", "header", "tensors", "outcome"),
    [
        (PUBLIC, {"collection": "tuple", "parts": 1}, [EXPECTED], None),  # a comma at the end
        (PUBLIC, {"collection": "tuple", "parts": 2}, [EXPECTED, EXPECTED], Outcome.WRONG_TYPE),
        (PAIR, {"collection": "list", "parts": 2}, [EXPECTED, EXPECTED_BIAS], None),
        (PAIR, {"collection": ["list"], "parts": "2"}, [EXPECTED, EXPECTED_BIAS], None),
        (PUBLIC, {}, [EXPECTED, EXPECTED], Outcome.WRONG_TYPE),
        (PUBLIC, {"dtypes": ["int64"]}, [EXPECTED.long(), EXPECTED.long()], Outcome.WRONG_TYPE),
        (PUBLIC, {"type": "list", "shapes": [], "dtypes": []}, [], Outcome.WRONG_TYPE),
        (PUBLIC, {}, [], Outcome.WRONG_TYPE),  # a sparse one
        (PUBLIC, {"shapes": [[60_000, 60_000]]}, [], Outcome.WRONG_SHAPE),
        (PUBLIC, {"shapes": [[60_000, 60_000]], "dtypes": ["int64"]}, [], Outcome.WRONG_SHAPE),
        (PUBLIC, {"dtypes": ["qint8"]}, [], Outcome.WRONG_DTYPE),
        (PAIR, {"collection": "tuple", "parts": 2}, [EXPECTED, EXPECTED_BIAS], None),
        (PAIR, {"collection": "tuple", "parts": 2}, [EXPECTED], Outcome.WRONG_TYPE),
        (PAIR, {}, [EXPECTED], Outcome.WRONG_TYPE),
        (PAIR, {"collection": "tuple", "shapes": [[2, 2], [60_000, 60_000]]}, [], Outcome.WRONG_SHAPE),
        (
            PAIR,
            {"collection": "tuple", "shapes": [[2, 2], [1, 2]], "dtypes": ["float32", "qint8"]},
            [],
            Outcome.WRONG_DTYPE,
        ),
    ],
)
def test_why_a_call_cannot_be_compared(
    case: Case, header: dict[str, Any], tensors: list[torch.Tensor], outcome: Outcome | None
) -> None:
    call = read(RETURNED | header, payload_with(*tensors) if tensors else b"", case=case)

    assert call.outcome is outcome


@pytest.mark.parametrize(
    ("place", "read_as"),
    [([3, 2], (3, 2)), ([0, 7], (0, 7)), (None, None), ([3], None), ([3, "2"], None), ([True, 2], None), ("ab", None)],
)
def test_a_reply_says_where_the_function_begins(place: Any, read_as: tuple[int, int] | None) -> None:
    """The first record that says so counts."""
    records = {"mnist": ({}, b""), "vjp": ({"place": place}, b""), "linear": ({"place": [9, 9]}, b"")}

    assert place_in(Reply(status="done", records=records)) == (read_as or (9, 9))
    assert place_in(Reply(status="done")) is None


@pytest.mark.parametrize("names", [("x",), ("1",), ("0", "x")])
def test_tensors_are_named_by_their_position(names: tuple[str, ...]) -> None:
    call = read(RETURNED, payload_of(dict.fromkeys(names, EXPECTED)))

    assert (call.outcome, len(call.tensors)) == (None, 1) if "0" in names else (Outcome.WRONG_TYPE, 0)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("done", Outcome.CRASHED),
        ("timed_out", Outcome.TIMED_OUT),
        ("too_large", Outcome.CRASHED),
        ("out_of_memory", Outcome.OUT_OF_MEMORY),
        ("crashed", Outcome.CRASHED),
        ("unreachable", Outcome.CRASHED),
    ],
)
def test_a_case_without_a_record_has_the_outcome_of_the_process(status: str, outcome: Outcome) -> None:
    """A case with a record has its own outcome. The calls are in the order of the cases."""
    reply = Reply(status=status, records={"vjp": (RETURNED, payload_with(EXPECTED)), "another": ({}, b"")})

    public, hidden = read_call([PUBLIC, HIDDEN], reply, NOTEBOOK)

    assert (public.case, public.outcome, public.argument_dtype) == (PUBLIC, outcome, torch.float32)
    assert (hidden.case, hidden.outcome) == (HIDDEN, None)


@pytest.mark.parametrize(
    ("header", "outcome", "kind"),
    [
        ({"status": "missing", "type": "int"}, Outcome.MISSING, "int"),
        ({"status": "missing", "type": None}, Outcome.MISSING, None),
        ({"status": "forged"}, Outcome.CRASHED, None),
        ({}, Outcome.CRASHED, None),
        ({"status": ["returned"]}, Outcome.CRASHED, None),
        ({"status": "raised"}, Outcome.RAISED, None),
        ({"status": "out_of_memory"}, Outcome.OUT_OF_MEMORY, None),
    ],
)
def test_the_status_of_a_record(header: dict[str, Any], outcome: Outcome, kind: str | None) -> None:
    call = read(header, payload_with(EXPECTED))

    assert (call.outcome, call.type, call.tensors) == (outcome, kind, ())
    assert (call.error is None) is (outcome not in (Outcome.RAISED, Outcome.OUT_OF_MEMORY))


# ------------------------------------------------------------------------------------------------------ hidden cases


@pytest.mark.parametrize(
    ("header", "tensors", "told"),
    [
        (RETURNED, [EXPECTED], Outcome.MATCH),
        (RETURNED, [-EXPECTED], Outcome.MISMATCH),
        (RETURNED, [EXPECTED / 0], Outcome.NOT_FINITE),
        (RETURNED, [EXPECTED.long()], Outcome.WRONG_DTYPE),
        (RETURNED, [EXPECTED[0]], Outcome.WRONG_SHAPE),
        (RETURNED | {"type": "secret", "shapes": []}, [], Outcome.WRONG_TYPE),
        (RETURNED | {"autograd": ["secret"], "mutated": ["dz"], "requires_grad": True}, [EXPECTED], Outcome.FORBIDDEN),
        ({"status": "raised", "error": {"type": "secret", "message": "secret"}}, [], Outcome.RAISED),
        ({"status": "raised", "blank": True}, [], Outcome.RAISED),
        ({"status": "missing", "type": "secret"}, [], Outcome.MISSING),
        ({"status": "secret"}, [], Outcome.CRASHED),
    ],
)
def test_a_hidden_case_tells_one_word(header: dict[str, Any], tensors: list[torch.Tensor], told: Outcome) -> None:
    reply = Reply(status="done", records={"vjp": (header, payload_with(*tensors) if tensors else b"")})

    assert read_told([HIDDEN], [reply], autograd="forbid") == (Told(case="vjp", outcome=told),)


@pytest.mark.parametrize("place", [0, 1])
def test_autograd_for_one_part_costs_all_that_were_asked_for_alone(place: int) -> None:
    """Straight lines can keep what it computes."""
    two = case_of("vjp", EXPECTED, EXPECTED_BIAS, public=False)
    replies = []
    for number, tensor in enumerate((EXPECTED, EXPECTED_BIAS)):
        header = RETURNED | ({"autograd": ["started a backward pass"]} if number == place else {})
        replies.append(Reply(status="done", records={"vjp": (header, payload_of({str(number): tensor.float()}))}))

    (forbidden,) = read_told([two], replies, autograd="forbid", by_parts=True)
    (flagged,) = read_told([two], replies, autograd="flag", by_parts=True)

    assert (forbidden.outcome, forbidden.of_parts) == (Outcome.FORBIDDEN, (Outcome.FORBIDDEN,) * 2)
    assert (flagged.outcome, flagged.of_parts, flagged.uses_autograd) == (Outcome.MATCH, (Outcome.MATCH,) * 2, True)


# ------------------------------------------------------------------------------------------------------------ errors

ERROR = {
    "type": "ValueError",
    "message": "x is 0.123",
    "frames": [{"cell": 2, "line": 2, "function": "grad_w"}],
}


def raised(error: Any, **options: Any) -> CallError:
    call = read({"status": "raised", "error": error, "autograd": ["called f"]}, **options)
    assert (call.outcome, call.autograd) == (Outcome.RAISED, ("called f",))
    assert call.error is not None
    return call.error


def test_an_error_shows_lines_of_the_notebook() -> None:
    """IPython drops blank lines at the top of a cell; the line number counts them."""
    assert raised(ERROR) == CallError(
        type="ValueError",
        message="x is 0.123",
        traceback="In [2], line 4, in grad_w\n    return x @ dz",
        cell=2,
        line=4,
    )


@pytest.mark.parametrize("error", [None, 3, [], {}, {"type": None, "message": 3, "frames": {}}])
def test_an_error_without_any_information(error: Any) -> None:
    assert raised(error) == CallError(type="Exception", message="")


@pytest.mark.parametrize(
    "frame",
    [
        {"cell": 3, "line": 1},
        {"cell": "2", "line": 1},
        {"cell": 2, "line": 0},
        {"cell": 2, "line": 3},
        {"cell": 2, "line": -1},
        {"cell": 2, "line": True},
        {"cell": 2, "line": "1"},
        {"cell": 2},
        {},
        3,
        None,
    ],
)
def test_lines_that_are_not_in_the_notebook_are_left_out(frame: Any) -> None:
    error = raised(ERROR | {"frames": [frame]})

    assert (error.traceback, error.cell, error.line) == ("", None, None)
    assert raised(ERROR | {"frames": [*ERROR["frames"], frame]}).line == 4


def test_the_innermost_of_many_lines_are_shown() -> None:
    frames = [{"cell": 1, "line": 1, "function": f"f{number}"} for number in range(20)]

    lines = raised(ERROR | {"frames": frames}).traceback.split("\n")

    assert lines[::2] == [f"In [1], line 1, in f{number}" for number in range(8, 20)]


@pytest.mark.parametrize("cell", [[], {}, [2], True, 1.0, None])
def test_the_number_of_a_cell_may_have_any_type(cell: Any) -> None:
    assert raised(ERROR | {"frames": [{"cell": cell, "line": 1}]}).cell is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x00b\x07c\x7f\x9b", "abc"),
        ("one\ntwo\tx", "one\ntwo\tx"),
        ("ab" * 5, "ab" * 5),
        ("ab" * 6, "ababababab… (2 characters more)"),
        (3, ""),
        (None, ""),
        (["a"], ""),
    ],
)
def test_control_characters_and_long_text_are_removed(text: object, shown: str) -> None:
    assert safe_text(text, 10) == shown


def test_all_text_is_cut_short() -> None:
    error = raised({"type": "E" * 500, "message": "m" * 5000, "frames": [ERROR["frames"][0] | {"function": "f" * 500}]})

    assert len(error.type) < 150
    assert len(error.message) < 550
    assert len(error.traceback) < 250
    uses = [f"{n}{'a' * 500}" for n in range(50)]
    call = read(RETURNED | {"type": "T" * 500, "dtypes": ["d" * 500], "autograd": uses})
    assert len(call.type or "") < 150
    assert len(call.dtypes[0]) < 70
    assert (len(call.autograd), len(call.autograd[0]) < 150) == (5, True)


# ------------------------------------------------------------------------------------------- tensors and losses


@pytest.mark.parametrize("payload", [b"", b"x", bytes(8), b"\xff" * 100, save({"0": EXPECTED})[:-1]])
def test_a_payload_that_cannot_be_read_has_no_tensors(payload: bytes) -> None:
    assert read_tensors(payload, ["0"]) == {}


@pytest.mark.parametrize(
    ("losses", "read_as"),
    [
        ([1.0, 0.5], (1.0, 0.5)),
        ([1.0, 0.5, 0.25], ()),
        ([1.0], ()),
        ([1, 0.5], ()),
        ([True, 0.5], ()),
        ("ab", ()),
        (None, ()),
    ],
)
def test_there_is_a_loss_for_each_step(losses: Any, read_as: tuple[float, ...]) -> None:
    reply = Reply(status="done", records={"training": ({"losses": losses}, b"")})

    assert read_losses(reply, steps=1) == read_as
    assert read_losses(Reply(status="done"), steps=1) == ()


# -------------------------------------------------------------------------------------------------- hostile records

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
frames = st.fixed_dictionaries(
    {}, optional={"cell": scalars | st.integers(0, 3), "line": scalars | st.integers(0, 5), "function": anything}
)
errors = scalars | st.fixed_dictionaries(
    {},
    optional={"type": anything, "message": anything, "frames": scalars | st.lists(frames | scalars, max_size=4)},
)
hostile_headers = st.fixed_dictionaries(
    {"status": st.sampled_from(["returned", "raised", "missing", "out_of_memory"]) | anything},
    optional={
        "error": errors,
        "type": anything,
        "tuple": anything | st.integers(0, 3),
        "shapes": anything | st.lists(st.lists(st.integers(-1, 3) | st.just(2**70), max_size=3), max_size=3),
        "dtypes": anything | st.lists(st.sampled_from(["float32", "qint8", ""]), max_size=3),
        "requires_grad": anything,
        "narrowed": anything | st.booleans(),
        "autograd": anything,
        "mutated": anything | st.lists(st.sampled_from(["x", "dz", "w"])),
    },
)
tensors = st.dictionaries(
    st.sampled_from(["0", "1", "2", "x"]),
    st.sampled_from(
        [
            EXPECTED,
            EXPECTED_BIAS,
            EXPECTED / 0,
            EXPECTED.half(),
            EXPECTED > 0,
            EXPECTED.long(),
            EXPECTED.to(torch.complex64),
            EXPECTED.to(torch.float8_e5m2),
            EXPECTED.to(torch.bfloat16),
            torch.zeros(0),
            torch.tensor(1.0),
        ]
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def hostile_payloads(draw: st.DrawFn) -> bytes:
    """Any bytes, or the bytes of tensors, which may be damaged."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=50))
    content = bytearray(payload_of(draw(tensors)))
    for place in draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.just(len(content)) | st.integers(0, len(content)))])


@given(
    st.dictionaries(st.sampled_from(["mnist", "vjp", "other"]), st.tuples(hostile_headers, hostile_payloads())),
    st.sampled_from(["done", "timed_out", "too_large", "crashed"]),
    st.booleans(),
)
def test_every_case_has_an_outcome_whatever_arrives(records: dict[str, Any], status: str, is_pair: bool) -> None:
    """Nothing raises, and points are given only if all numbers are right."""
    exercise = LAYER if is_pair else WEIGHT
    expected = (EXPECTED, EXPECTED_BIAS) if is_pair else (EXPECTED,)
    cases = [case_of("mnist", *expected), case_of("vjp", *expected, public=False, dtype=torch.float64)]
    reply = Reply(status=status, records=records)

    returned = read_call(cases, reply, NOTEBOOK)

    assert [call.case for call in returned] == cases
    for call in returned:
        assert call.outcome is not None or len(call.tensors) == len(expected)
    functions = FunctionIndex(definitions={}, syntax_errors={}, broken_names={})
    execution = Execution.in_this_process({exercise.name: reply})
    attempt = Attempt(notebook=NOTEBOOK, functions=functions, execution=execution)
    result, _ = judge_exercise(exercise, attempt, returned, autograd="forbid")
    assert result.outcome.passed is not None
    assert result.message
    is_right = all(
        call.outcome is None and all(torch.equal(got, right) for got, right in zip(call.tensors, expected, strict=True))
        for call in returned
    )
    assert result.points == 0 or is_right
