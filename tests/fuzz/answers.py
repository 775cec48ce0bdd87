"""
Hostile answers: one rule gives what a function returned on every case, so that explanations find something to explain.

Other fuzzers change a reply here and there. Here the answers to all cases belong together, as those of a function do.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from grader import pipeline
from grader.calling.exercise import Exercise
from grader.execution.asking import hidden_keys, practice_key
from grader.execution.channel import Reply
from grader.execution.record import Attempt
from grader.reference.cases import Case, build_cases
from grader.reference.practice import build_practice
from tests.case_samples import payload_of
from tests.conftest import assignment_called
from tests.fuzz.honest import check_report
from tests.fuzz.running import Fuzzer, Step
from tests.inprocess import InProcessRun

__all__ = ["ANSWERS"]

ASSIGNMENTS = ("two_layer_mse", "attention", "embedding_rnn")
_FACTORS = (0.0, -0.0, -1.0, 2.0, 0.5, 1 / 256, 1e-18, 5e-324, 1e30, 1e160, 1e308, -1e308, math.inf, math.nan)
_DTYPES = (
    *(torch.float32,) * 3,
    *(torch.float64,) * 6,
    *(torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64, torch.float8_e5m2),
)

Rule = Callable[[Case, int, random.Random], torch.Tensor]
"""The answer to a case for one target, float64."""


def _script(rng: random.Random) -> list[Step]:
    assignment_id = rng.choice(ASSIGNMENTS)
    exercise = rng.choice(assignment_called(assignment_id).exercises)
    steps: list[Step] = [("exercise", (assignment_id, exercise.name)), ("rule", rng.getrandbits(32))]
    if rng.random() < 0.2:
        steps.append(("but", (rng.randrange(6), rng.getrandbits(32))))  # one case has another rule
    if rng.random() < 0.1:
        steps.append(("thoroughly", 0))
    return steps


# ------------------------------------------------------------------------------------------------------------- a rule


def _number(case: Case, target: int, rng: random.Random) -> torch.Tensor:
    """Numbers that have something to do with the right ones, in their shape."""
    right = case.expected[target]
    factor = rng.choice((*_FACTORS, float(case.rows), 1 / case.rows, rng.uniform(-3, 3)))
    some = torch.Generator().manual_seed(rng.getrandbits(20))
    argument = rng.choice(list(case.arguments.values()))
    changes: list[Callable[[], torch.Tensor]] = [
        lambda: right * factor,
        lambda: right + factor,
        lambda: torch.full_like(right, factor),
        lambda: torch.randn(right.shape, generator=some, dtype=torch.float64) * factor,
        lambda: right * (torch.rand(right.shape, generator=some) < 0.5),
        lambda: right.round(decimals=rng.choice((0, 1, 3))),
        lambda: right.clamp(-abs(factor), abs(factor)),
        lambda: right / right.norm(),
        lambda: torch.where(torch.rand(right.shape, generator=some) < 0.1, factor, right),
        lambda: torch.arange(right.numel(), dtype=torch.float64).reshape(right.shape) * factor,
        lambda: argument.double() * factor if argument.shape == right.shape else right.flip(0),
        lambda: right.flip(0),
    ]
    return rng.choice(changes)()


def _shaped(values: torch.Tensor, case: Case, target: int, first: Case, rng: random.Random) -> torch.Tensor:
    """The numbers in a shape that a mistake may give them: they are repeated or left out as they have to be."""
    own, of_first = tuple(case.expected[target].shape), tuple(first.expected[target].shape)
    axis = rng.randrange(max(1, len(own)))
    shapes: list[tuple[int, ...]] = [
        *(own,) * 8,
        *(of_first,) * 4,
        own[::-1],
        (*own, 1),
        (1, *own),
        (case.rows, *own),
        (*own[:axis], 0, *own[axis + 1 :]),
        (*own[:axis], 0, *own[axis:]),
        (0,),
        (),
        (case.rows, case.rows),
        (math.prod(own),),
        own[1:],
        tuple(size for size in own if size != 1),
        (3, 0, 2),
    ]
    shape = rng.choice(shapes)
    size = math.prod(shape)
    if size > 1 << 20:
        return values
    flat = values.reshape(-1)
    times = -(-size // max(1, flat.numel()))
    return flat.repeat(times)[:size].reshape(shape)


def _answer(case: Case, first: Case, rule: int) -> list[torch.Tensor]:
    """What the function of this rule returns on a case."""
    rng = random.Random(rule)
    dtype = rng.choice(_DTYPES) if rng.random() < 0.3 else case.dtype
    count = len(case.expected) if rng.random() < 0.95 else rng.choice((0, 1, 2, 3))
    values, shape = rng.getrandbits(32), rng.getrandbits(32)  # the same for all targets
    return [
        _shaped(_number(case, t, random.Random(values)), case, t, first, random.Random(shape)).to(dtype)
        for t in (min(number, len(case.expected) - 1) for number in range(count))
    ]


# ------------------------------------------------------------------------------------------------------------ the run


@functools.cache
def _base(assignment_id: str) -> InProcessRun:
    return InProcessRun(assignment_called(assignment_id), "", base="solution", name="1001.ipynb")


@functools.cache
def _cases(assignment_id: str, name: str) -> Mapping[str, tuple[Case, ...]]:
    """The cases of an exercise, by the key of the reply in which they are."""
    assignment = assignment_called(assignment_id)
    exercise = next(exercise for exercise in assignment.exercises if exercise.name == name)
    cases = build_cases(assignment)[name]
    return {
        name: tuple(case for case in cases if case.public),
        practice_key(exercise): build_practice(assignment)[name],
        hidden_keys(exercise)[0]: tuple(case for case in cases if not case.public),
    }


def _replies(exercise: Exercise, cases: Mapping[str, Sequence[Case]], rules: Sequence[int]) -> dict[str, Reply]:
    first = cases[exercise.name][0]
    replies: dict[str, Reply] = {}
    for key, of_key in cases.items():
        records = {}
        for number, case in enumerate(of_key):
            tensors = _answer(case, first, rules[number + len(replies)])
            header: dict[str, Any] = {
                "case": case.name,
                "status": "returned",
                "type": "Tensor" if len(tensors) == 1 else "tuple",
                "parts": len(tensors),
                "shapes": [list(tensor.shape) for tensor in tensors],
                "dtypes": [str(tensor.dtype).removeprefix("torch.") for tensor in tensors],
            }
            records[case.name] = header, payload_of({str(n): tensor for n, tensor in enumerate(tensors)})
        replies[key] = Reply(status="done", records=records)
    return replies


def _run(script: Sequence[Step]) -> Sequence[str]:
    told: dict[str, Any] = dict(script)
    assignment_id, name = told.get("exercise", ("two_layer_mse", "grad_w1"))
    whole, base = assignment_called(assignment_id), _base(assignment_id)
    exercise = next(exercise for exercise in whole.exercises if exercise.name == name)
    rules = [told.get("rule", 0)] * 8
    if "but" in told:
        place, rule = told["but"]
        rules[place] = rule
    replies = _replies(exercise, _cases(assignment_id, name), rules)
    execution = dataclasses.replace(base.execution, replies=base.execution.replies | replies)
    attempt = Attempt(notebook=base.notebook, functions=base.functions, execution=execution)
    report = pipeline.judge(base.submission, whole, attempt)
    check_report(report, whole, thoroughly="thoroughly" in told)
    for result in report.exercises:
        assert result.name == name or result.passed, f"{result.name} has paid for {name}"
    result = next(result for result in report.exercises if result.name == name)
    return [result.outcome.value, *(f"diagnosis {diagnosis.id}" for diagnosis in result.diagnoses)]


ANSWERS = Fuzzer("answers", _script, _run)
