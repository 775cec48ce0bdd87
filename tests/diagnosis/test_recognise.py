"""Each recogniser recognises its mistake, and not an answer that is only similar."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from grader.assignment.load import Assignment, load_assignment
from grader.compare import compare
from grader.diagnosis.diagnose import diagnose
from grader.execution.calls import Returned
from grader.model import CallError, Outcome
from grader.notebook.scope import Scope
from grader.reference.cases import Case, build_cases
from tests.conftest import ROOT

Function = Callable[..., torch.Tensor]


def first_id(
    assignment: Assignment, name: str, function: Function, scope: Scope | None = None, outcome: Outcome | None = None
) -> str | None:
    """The id of the first diagnosis of an exercise, as if this were a student's function."""
    exercise = next(e for e in assignment.exercises if e.name == name)
    returned = [call(case, function) for case in build_cases(assignment)[name]]
    if outcome is None:
        outcomes = [outcome_of(result) for result in returned]
        outcome = next((each for each in outcomes if each is not Outcome.MATCH), Outcome.MATCH)
    diagnoses = diagnose(assignment, exercise, outcome, returned, scope or Scope())
    return diagnoses[0].id if diagnoses else None


def call(case: Case, function: Function) -> Returned:
    try:
        tensor = function(**case.arguments)
    except (RuntimeError, AssertionError) as error:
        raised = CallError(type=type(error).__name__, message=str(error), cell=1)
        return Returned(case=case, outcome=Outcome.RAISED, argument_dtype=case.dtype, error=raised)
    return Returned(
        case=case,
        outcome=None,
        argument_dtype=case.dtype,
        tensors=(tensor,),
        shapes=(tuple(tensor.shape),),
        dtypes=(str(tensor.dtype).removeprefix("torch."),),
    )


def outcome_of(returned: Returned) -> Outcome:
    if returned.outcome is not None:
        return returned.outcome
    case = returned.case
    return compare(
        returned.tensors[0], case.expected[0], terms=case.terms, argument_dtype=returned.argument_dtype
    ).outcome


def grad_w1(x: torch.Tensor, dz1: torch.Tensor) -> torch.Tensor:
    return x.T @ dz1


def grad_b1(dz1: torch.Tensor) -> torch.Tensor:
    return dz1.sum(0, keepdim=True)


def grad_yhat(yhat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return 2 * (yhat - y) / len(y)


def grad_z1(da1: torch.Tensor, z1: torch.Tensor) -> torch.Tensor:
    return da1 * (z1 > 0)


def wrong_in_odd_columns(da1: torch.Tensor, z1: torch.Tensor) -> torch.Tensor:
    is_odd = torch.arange(z1.shape[1]) % 2 == 1
    return torch.where((z1 > 0) & is_odd, z1.sin() + 2, grad_z1(da1, z1))


def noise(like: torch.Tensor, share: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return like + share * like.abs().mean() * torch.randn(like.shape, generator=generator).to(like.dtype)


def off_in_one_entry(like: torch.Tensor) -> torch.Tensor:
    changed = like.clone()
    changed[3] += 1e-4 * like.abs().max()
    return changed


def reshaped_mostly(like: torch.Tensor) -> torch.Tensor:
    changed = like.T.reshape(like.shape).clone()
    changed[-1] += 1
    return changed


def with_column(like: torch.Tensor, value: float, *, and_one_entry: bool = False) -> torch.Tensor:
    changed = like.clone()
    changed[:, -2:] = value
    if and_one_entry:
        changed[0, 0] += changed.abs().max()
    return changed


TABLE: dict[str, tuple[str, Function, str | None]] = {
    "factor": ("grad_w1", lambda x, dz1: 3 * grad_w1(x, dz1), "constant_factor"),
    "factor, of rows": ("grad_w1", lambda x, dz1: grad_w1(x, dz1) / len(x), "constant_factor"),
    "mean": ("grad_b1", lambda dz1: dz1.mean(0, keepdim=True), "mean_not_sum"),
    "factor, with some noise": ("grad_w1", lambda x, dz1: noise(3 * grad_w1(x, dz1), 0.05), None),
    "factor, different on every case": ("grad_w1", lambda x, dz1: grad_w1(x, dz1) * float(dz1.sum()), None),
    "sign": ("grad_w1", lambda x, dz1: -grad_w1(x, dz1), "sign"),
    "size written down": ("grad_yhat", lambda yhat, y: 2 * (yhat - y) / 64, "hard_coded_size"),
    "size, only similar": ("grad_yhat", lambda yhat, y: 2 * (yhat - y) / (len(y) + 0.1), None),
    "mutant": ("grad_z1", lambda da1, z1: da1, "missing_mask"),
    "mutant, with some noise": ("grad_z1", lambda da1, z1: noise(da1, 0.05), None),
    "mutant and factor": ("grad_z1", lambda da1, z1: 5 * da1 * (z1 <= 0), "wrong_region"),
    "mutant, scaled by row": ("grad_z1", lambda da1, z1: da1 * torch.arange(1, len(da1) + 1)[:, None], None),
    "two mutants": ("grad_yhat", lambda yhat, y: 2 * (yhat + y), "sign"),
    "other axis": ("grad_b1", lambda dz1: dz1.sum(1, keepdim=True), "wrong_axis"),
    "transposed": ("grad_w1", lambda x, dz1: dz1.T @ x, "transposed"),
    "transposed, other numbers": ("grad_w1", lambda x, dz1: noise(dz1.T @ x, 0.1), None),
    "dropped dimension": ("grad_b1", lambda dz1: dz1.sum(0), "dropped_dim"),
    "dropped dimension, other numbers": ("grad_b1", lambda dz1: noise(dz1.sum(0), 0.1), None),
    "not summed": ("grad_b1", lambda dz1: dz1, "not_summed"),
    "not summed, other numbers": ("grad_b1", lambda dz1: noise(dz1, 0.1), None),
    "broadcast": ("grad_yhat", lambda yhat, y: torch.tanh(yhat - y.T), "broadcast_shape"),
    "low precision": ("grad_w1", lambda x, dz1: grad_w1(x, dz1).bfloat16().to(dz1.dtype), "low_precision"),
    "precision lower than that": ("grad_w1", lambda x, dz1: noise(grad_w1(x, dz1), 0.02), None),
    "nearly right": ("grad_w1", lambda x, dz1: grad_w1(x, dz1) * (1 + 1e-5), "nearly_right"),
    "nearly right, in one entry": ("grad_yhat", lambda yhat, y: off_in_one_entry(grad_yhat(yhat, y)), "nearly_right"),
    "not even nearly right": ("grad_yhat", lambda yhat, y: noise(grad_yhat(yhat, y), 0.05), None),
    "rounded": ("grad_yhat", lambda yhat, y: grad_yhat(yhat, y).round(decimals=2), "low_precision"),
    "rounded, other numbers": ("grad_yhat", lambda yhat, y: torch.tanh(yhat - y).round(decimals=2), None),
    "clipped": ("grad_w1", lambda x, dz1: grad_w1(x, dz1).clamp(-0.5, 0.5), "rescaled"),
    "clipped on one side": ("grad_w1", lambda x, dz1: grad_w1(x, dz1).clamp(max=0.5), None),
    "normalised": ("grad_w1", lambda x, dz1: grad_w1(x, dz1) / grad_w1(x, dz1).norm(), "rescaled"),
    "normalised by the largest": ("grad_w1", lambda x, dz1: grad_w1(x, dz1) / grad_w1(x, dz1).abs().max(), None),
    "region": ("grad_z1", lambda da1, z1: torch.where(z1 > 0, da1, z1.sin() + 2), "wrong_region"),
    "region, only part of it": ("grad_z1", lambda da1, z1: wrong_in_odd_columns(da1, z1), None),
    "ignores upstream": ("grad_z1", lambda da1, z1: z1.cos() + 2, "ignores_upstream"),
    "reshaped": ("grad_w1", lambda x, dz1: (dz1.T @ x).reshape(784, 50), "reshaped"),
    "reshaped, with other numbers": ("grad_w1", lambda x, dz1: reshaped_mostly(x.T @ dz1), None),
    "operand reshaped": ("grad_w1", lambda x, dz1: x.reshape(784, -1) @ dz1, "reshaped"),
    "operand reshaped, with some noise": ("grad_w1", lambda x, dz1: noise(x, 0.1).reshape(784, -1) @ dz1, None),
    "upside down": ("grad_w1", lambda x, dz1: grad_w1(x, dz1).flip(0), "misplaced"),
    "one place too far": ("grad_w1", lambda x, dz1: grad_w1(x, dz1).roll(1, 0), "misplaced"),
    "in order of size": ("grad_w1", lambda x, dz1: grad_w1(x, dz1).sort(0).values, "misplaced"),
    "in order of size, some twice": ("grad_w1", lambda x, dz1: grad_w1(x, dz1)[torch.arange(784) // 2], None),
    "one row for all": ("grad_z1", lambda da1, z1: da1[0] * (z1 > 0), "one_row"),
    "one row for half of them": (
        "grad_z1", lambda da1, z1: torch.cat([da1[:1].expand_as(da1)[::2], da1[1::2]]) * (z1 > 0), None,
    ),
    "slope of an output": ("grad_z1", lambda da1, z1: da1 * z1 * (1 - z1), "wrong_slope"),
    "slope of half an output": ("grad_z1", lambda da1, z1: da1 * z1 * (0.7 - z1), None),
    "a tenth": ("grad_z1", lambda da1, z1: torch.where(z1 > 0, da1, 0.1 * da1), "wrong_slope"),
    "a seventh": ("grad_z1", lambda da1, z1: torch.where(z1 > 0, da1, da1 / 7), "wrong_slope"),
    "mask of the product": ("grad_z1", lambda da1, z1: (da1 * z1 > 0).to(z1.dtype), "precedence"),
    "truth of the product": ("grad_z1", lambda da1, z1: da1 * z1 > 0, "precedence"),
    "truth of something else": ("grad_z1", lambda da1, z1: da1 > z1, "wrong_dtype"),
    "brackets": ("grad_yhat", lambda yhat, y: 2 * yhat - y / len(y), "precedence"),
    "brackets, and something else": ("grad_yhat", lambda yhat, y: 2 * yhat.sin() - y / len(y), None),
    "bfloat16 inside": ("grad_w1", lambda x, dz1: x.bfloat16().to(x.dtype).T @ dz1, "low_precision"),
    "bfloat16, and something else": ("grad_w1", lambda x, dz1: x.sin().bfloat16().to(x.dtype).T @ dz1, None),
    "columns of zeros": ("grad_a1", lambda dyhat, w2: with_column(dyhat @ w2.T, 0.0), "wrong_region"),
    "columns of ones": ("grad_a1", lambda dyhat, w2: with_column(dyhat @ w2.T, 1.0), "wrong_region"),
    "columns of zeros, and one entry": (
        "grad_a1", lambda dyhat, w2: with_column(dyhat @ w2.T, 0.0, and_one_entry=True), None,
    ),
    "all columns of ones but two": (
        "grad_a1", lambda dyhat, w2: torch.cat([(dyhat @ w2.T)[:, :2], dyhat.expand(-1, 48).cos()], 1), None,
    ),
    "all columns of zeros but two": (
        "grad_a1", lambda dyhat, w2: torch.cat([(dyhat @ w2.T)[:, :2], dyhat.expand(-1, 48) * 0], 1), "wrong_region",
    ),
    "sum of the weights": ("grad_a1", lambda dyhat, w2: (dyhat * w2.sum()).expand(-1, len(w2)), "other_operation"),
    "sum of other weights": ("grad_a1", lambda dyhat, w2: (dyhat * w2.exp().sum()).expand(-1, len(w2)), None),
    "N − 1": ("grad_yhat", lambda yhat, y: 2 * (yhat - y) / (len(y) - 1), "off_by_one_size"),
    "N − 3": ("grad_yhat", lambda yhat, y: 2 * (yhat - y) / (len(y) - 3), None),
    "all terms but one": ("grad_b1", lambda dz1: dz1[:-1].sum(0, keepdim=True), "off_by_one_size"),
    "another logarithm": ("grad_w1", lambda x, dz1: grad_w1(x, dz1) / math.log(2), "wrong_slope"),
    "nearly another logarithm": ("grad_w1", lambda x, dz1: grad_w1(x, dz1) / math.log(2.01), "constant_factor"),
    "squeezed on the left": ("grad_yhat", lambda yhat, y: 2 * (yhat.squeeze() - y) / len(y), "broadcast_shape"),
    "nearly ignores upstream": ("grad_z1", lambda da1, z1: z1.cos() + 2 + da1 / 1000, None),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_is_recognised_and_a_similar_answer_is_not(assignment: Assignment, name: str) -> None:
    exercise, function, expected = TABLE[name]

    assert first_id(assignment, exercise, function) == expected


def messages(assignment: Assignment, name: str, function: Function, scope: Scope | None = None) -> list[str]:
    exercise = next(e for e in assignment.exercises if e.name == name)
    returned = [call(case, function) for case in build_cases(assignment)[name]]
    return [found.message for found in diagnose(assignment, exercise, Outcome.MISMATCH, returned, scope or Scope())]


def test_one_cause_is_said_once(assignment: Assignment) -> None:
    """A mean in place of a sum is 1/N times it, and that is all that it is."""
    assert len(messages(assignment, "grad_b1", lambda dz1: dz1.mean(0, keepdim=True))) == 1
    assert len(messages(assignment, "grad_yhat", lambda yhat, y: 2 * (yhat - y) / (len(y) - 1))) == 1
    assert len(messages(assignment, "grad_z1", lambda da1, z1: 5 * da1 * (z1 <= 0))) == 2, "these are two causes"


def test_a_part_that_was_left_at_zero_is_told_from_one_that_is_wrong(assignment: Assignment) -> None:
    (zeros,) = messages(assignment, "grad_a1", lambda dyhat, w2: with_column(dyhat @ w2.T, 0.0))
    (ones,) = messages(assignment, "grad_a1", lambda dyhat, w2: with_column(dyhat @ w2.T, 1.0))

    assert "the last 2 columns: there it is 0" in zeros
    assert ones.endswith("the last 2 columns.")


def test_a_helper_that_is_defined_again_is_named_with_both_cells(assignment: Assignment) -> None:
    """But not if something explains the numbers."""
    scope = Scope(redefined=(("backward", 3, 30),))

    (message,) = messages(assignment, "grad_w1", lambda x, dz1: noise(x, 0.1).T @ dz1, scope)
    assert "In [3]" in message
    assert "In [30]" in message
    assert first_id(assignment, "grad_w1", lambda x, dz1: -grad_w1(x, dz1), scope) == "sign"


def test_a_right_answer_gets_no_diagnosis(assignment: Assignment) -> None:
    for name, function in (("grad_w1", grad_w1), ("grad_b1", grad_b1), ("grad_yhat", grad_yhat), ("grad_z1", grad_z1)):
        assert first_id(assignment, name, function, Scope(reads=("x",), unused=("y",), numbers=(64,))) is None


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(reads=("dz1",), unused=("x",)), "reads_global"),  # the network has a dz1
        (Scope(reads=("my_list",), unused=("x",)), "reads_global"),
        (Scope(reads=("my_list",)), None),
        (Scope(reads=("batch_size",)), "reads_global"),
        (Scope(reads=("n",)), "reads_global"),
        (Scope(reads=("noise",)), None),
        (Scope(unused=("x",)), "ignores_argument"),
        (Scope(unused=("dz1",)), "ignores_upstream"),
        (Scope(unused=("x", "dz1")), None),
    ],
    ids=str,
)
def test_if_no_numbers_match_what_the_function_reads_decides(
    assignment: Assignment, scope: Scope, expected: str | None
) -> None:
    def nonsense(x: torch.Tensor, dz1: torch.Tensor) -> torch.Tensor:
        return noise(grad_w1(x, dz1).sin(), 0.3)

    assert first_id(assignment, "grad_w1", nonsense, scope) == expected


def test_a_function_that_keeps_state_is_recognised(assignment: Assignment) -> None:
    """It returns its first answer again and again, or the sum of all answers."""
    answers: list[torch.Tensor] = []

    def repeats_the_first(x: torch.Tensor, dz1: torch.Tensor) -> torch.Tensor:
        answers.append(grad_w1(x, dz1))
        return answers[0]

    def adds_up(x: torch.Tensor, dz1: torch.Tensor) -> torch.Tensor:
        answers.append(grad_w1(x, dz1).double())
        return torch.stack(answers).sum(0)

    assert first_id(assignment, "grad_w1", repeats_the_first) == "keeps_state"
    answers.clear()
    assert first_id(assignment, "grad_w1", adds_up) == "keeps_state"
    assert first_id(assignment, "grad_w1", lambda x, dz1: torch.zeros(784, 50)) != "keeps_state"


_STRANGE: dict[str, Callable[[torch.Tensor, Case], torch.Tensor]] = {
    "the shape of one case": lambda _, case: torch.zeros(64, case.expected[0].shape[-1]),
    "the shape of one case, and numbers": lambda _, case: torch.ones(64, case.expected[0].shape[-1]) * case.rows,
    "no rows": lambda right, _: right[:0],
    "no columns": lambda right, _: right[:, :0],
    "a size of zero between": lambda right, _: right[:, None, None][:, :, :0].expand(-1, 3, 0, *right.shape[1:]),
    "no dimension": lambda right, _: right.sum(),
    "the largest numbers": lambda right, _: torch.copysign(torch.tensor(1.7e308, dtype=torch.float64), right),
    "large numbers": lambda right, _: right.double() * 1e305,
    "some of the largest": lambda right, _: torch.where(right > right.mean(), 1.7e308, right.double()),
    "the smallest numbers": lambda right, _: torch.copysign(torch.tensor(5e-324, dtype=torch.float64), right),
    "small numbers": lambda right, case: right.double().sign() * case.rows * 1e-323,
}


@pytest.mark.parametrize("name", _STRANGE)
@pytest.mark.parametrize("exercise", ["grad_w1", "grad_b1", "grad_yhat", "grad_z1"])
def test_strange_numbers_and_shapes_confuse_no_recogniser(assignment: Assignment, exercise: str, name: str) -> None:
    cases = iter(build_cases(assignment)[exercise])
    first_id(assignment, exercise, lambda **_: _STRANGE[name]((case := next(cases)).expected[0], case))


def test_a_batch_size_that_is_written_into_the_function_is_recognised(assignment: Assignment) -> None:
    """The function fails on other batches. A size of the network does not count."""

    def asserts(x: torch.Tensor, dz1: torch.Tensor) -> torch.Tensor:
        assert len(x) == 64, "batch"
        return grad_w1(x, dz1)

    assert first_id(assignment, "grad_w1", asserts, Scope(numbers=(64,))) == "hard_coded_size"
    assert first_id(assignment, "grad_w1", asserts, Scope(numbers=(784,))) is None


def test_outcomes_without_numbers_have_diagnoses(assignment: Assignment) -> None:
    exercise = next(e for e in assignment.exercises if e.name == "grad_w1")
    case = build_cases(assignment)["grad_w1"][0]

    def id_for(**fields: object) -> str | None:
        returned = [Returned(case=case, argument_dtype=case.dtype, **fields)]  # type: ignore[arg-type]
        diagnoses = diagnose(assignment, exercise, returned[0].outcome or Outcome.NOT_FINITE, returned, Scope())
        return diagnoses[0].id if diagnoses else None

    assert id_for(outcome=Outcome.WRONG_TYPE, type="NoneType") == "returns_none"
    assert id_for(outcome=Outcome.WRONG_TYPE, type="list") == "wrong_type"
    assert id_for(outcome=Outcome.WRONG_DTYPE, dtypes=("float16",)) == "low_precision"
    assert id_for(outcome=Outcome.WRONG_DTYPE, dtypes=("int64",)) == "wrong_dtype"
    assert id_for(outcome=None, tensors=(torch.full((784, 50), torch.nan),)) == "not_finite"
    assert id_for(outcome=Outcome.RAISED, error=CallError(type="NameError", message="q", cell=1)) is None


@pytest.mark.parametrize("scope", [Scope(unused=("dz1",)), Scope(unused=("x",))])
def test_a_function_that_raises_is_not_told_what_it_does_not_use(assignment: Assignment, scope: Scope) -> None:
    """It may not have come that far."""

    def fails(x: torch.Tensor, dz1: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("name 'a1' is not defined")

    assert first_id(assignment, "grad_w1", fails, scope) is None
    assert first_id(assignment, "grad_w1", lambda x, dz1: x.T @ (dz1 * 0 + 1), scope) is not None


@pytest.mark.parametrize(
    ("name", "dtypes", "said"),
    [
        ("linear_backward", ("float32", "int64"), "linear_backward returned a tensor of dtype int64."),
        ("softmax_loss", ("float32", "float32", "bool"), "softmax_loss returned an array of dtype bool."),
    ],
)
def test_the_dtype_that_is_named_is_the_wrong_one(name: str, dtypes: tuple[str, ...], said: str) -> None:
    """Of several tensors, the first may be right. In numpy, they are called arrays."""
    assignment = load_assignment(ROOT / "docs" / "examples" / "forms.md")
    exercise = next(e for e in assignment.exercises if e.name == name)
    case = build_cases(assignment)[name][0]
    returned = [Returned(case=case, argument_dtype=case.dtype, outcome=Outcome.WRONG_DTYPE, dtypes=dtypes)]

    diagnoses = diagnose(assignment, exercise, Outcome.WRONG_DTYPE, returned, Scope())

    assert [diagnosis.message for diagnosis in diagnoses] == [said]
