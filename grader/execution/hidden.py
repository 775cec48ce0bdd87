"""
Makes the requests about hidden cases, in an order in which nothing is sent before it has been asked for.

All hidden cases of a kind are of one batch, and a student's process remembers what it was given: what one exercise is
given could be the answer to another one. So whoever asks for a value comes before whoever is given it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch

from grader.calling.exercise import Exercise
from grader.calling.nested import tensors_in
from grader.compare import same_but_for_ones
from grader.execution.asking import call_request, hidden_keys
from grader.execution.channel import Request
from grader.model import Limits
from grader.reference.cases import Case

__all__ = ["hidden_requests"]

_NEAR = 1e-4
"""Two tensors are the same if they differ by no more than this, relative to their largest entry."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """
    One request: all of an exercise on its hidden cases, or one part of straight lines.

    Attributes:
        parts: The numbers of the parts that are asked for.
    """

    key: str
    exercise: Exercise
    cases: tuple[Case, ...]
    parts: tuple[int, ...]

    @property
    def withheld(self) -> frozenset[str]:
        """The arguments that do not come with it."""
        return frozenset(self.exercise.parts[self.parts[0] :]) if self.exercise.is_lines else frozenset()

    def request(self, limits: Limits, *, autograd: str, without: Collection[str] = ()) -> Request:
        """The request, without these arguments either."""
        cases = [_without(case, {*self.withheld, *without}) for case in self.cases]
        request = call_request(self.exercise, cases, limits, autograd=autograd)
        wanted = {"wanted": self.exercise.parts[self.parts[0]]} if self.exercise.is_lines else {}
        return dataclasses.replace(request, key=self.key, header={**request.header, **wanted}, is_hidden=True)


def hidden_requests(
    exercises: Sequence[Exercise], cases: Mapping[str, Sequence[Case]], limits: Limits, *, autograd: str = "forbid"
) -> Iterator[tuple[Exercise, Request]]:
    """
    The requests to call exercises on hidden cases.

    Straight lines go on with right gradients. So each part is asked for alone, and what comes with it are the right
    values of those parts that have been asked for before, there and in other exercises.

    Args:
        cases: The hidden cases of each exercise.
    """
    left = [question for exercise in exercises for question in _questions(exercise, tuple(cases[exercise.name]))]
    scaled = functools.cache(_scaled)
    answers = {
        (one.name, two.name): _answers(cases[one.name], cases[two.name], two, scaled)
        for one, two in itertools.permutations(exercises, 2)
    }

    def told(given: _Question, asked: _Question) -> set[str]:
        """The arguments of one question that have an answer to another exercise in them."""
        found = answers.get((given.exercise.name, asked.exercise.name), ())
        return {name for name, part in found if part in asked.parts and name not in given.withheld}

    tells = {one.key: {other.key: names for other in left if (names := told(one, other))} for one in left}
    while left:
        chosen = next((one for one in left if not any(other.key in tells[one.key] for other in left)), left[0])
        left.remove(chosen)
        early = {name for other in left for name in tells[chosen.key].get(other.key, ())}
        yield chosen.exercise, chosen.request(limits, autograd=autograd, without=early & set(chosen.exercise.parts))


def _questions(exercise: Exercise, cases: tuple[Case, ...]) -> Iterator[_Question]:
    keys = hidden_keys(exercise)
    if not exercise.is_lines:
        yield _Question(keys[0], exercise, cases, tuple(range(len(exercise.parts))))
        return
    for number, key in enumerate(keys):
        yield _Question(key, exercise, cases, (number,))


_Scaled = Callable[[torch.Tensor], torch.Tensor]


def _answers(
    given: Sequence[Case], asked: Sequence[Case], exercise: Exercise, scaled: _Scaled
) -> frozenset[tuple[str, int]]:
    """
    Which arguments of one exercise have a part of another one's result in them, on every case: names, and numbers.

    What the other one is given itself is no answer. Upstream gradients are drawn for each exercise, so they differ on
    some case from what another one is asked for.
    """
    by_name = {case.name: case for case in given}
    found: frozenset[tuple[str, int]] | None = None
    for case in reversed(asked):  # the one with drawn gradients is among the last
        arguments = by_name[case.name].arguments if case.name in by_name else {}
        right = exercise.parts if exercise.is_lines else ()
        own = [t for name, value in case.arguments.items() if name not in right for _, t in tensors_in(name, value)]
        here = frozenset(
            (name, part)
            for part, answer in enumerate(case.expected)
            if found is None or any(part == other for _, other in found)
            for name, value in arguments.items()
            if any(_are_same(answer, tensor, scaled) for _, tensor in tensors_in(name, value))
            if not any(_are_same(answer, tensor, scaled) for tensor in own)
        )
        found = here if found is None else found & here
    return found or frozenset()


def _are_same(first: torch.Tensor, second: torch.Tensor, scaled: _Scaled) -> bool:
    """Whether two tensors have the same numbers, but for rounding and a common factor."""
    if not same_but_for_ones(first.shape, second.shape) or not first.numel():
        return False
    return bool(((scaled(first) - scaled(second)).abs() <= _NEAR).all())


def _scaled(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor, divided by the largest one if there are several. Zeros tell nothing: they become nan."""
    numbers = tensor.detach().double().flatten()
    return numbers / numbers[numbers.abs().argmax()] if len(numbers) > 1 else numbers


def _without(case: Case, names: set[str]) -> Case:
    return dataclasses.replace(case, arguments={n: value for n, value in case.arguments.items() if n not in names})
