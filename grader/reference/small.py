"""
Makes small cases of an exercise: few numbers, whole ones where the network allows, to be worked through on paper.

Their seeds are public. A small case is kept only if it is beyond doubt: the instructor's solution agrees with autograd
there, and no number is so near a kink, such as relu's at 0, that several gradients would be right.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.errors import GraderError
from grader.modes import ordinary
from grader.reference.cases import Case, case_at
from grader.reference.gradients import cotangents_at, parts_of, reference
from grader.reference.networks import Network, Point, evaluate_network, seed_of
from grader.reference.practice import practising
from grader.reference.sizes import Sizes, SmallNetworks, small_networks
from grader.reference.solution import check_solution

__all__ = ["MOST_NUMBERS", "small_cases"]

MOST_NUMBERS = 12
"""How many numbers each argument of a small case has at most."""
_QUOTAS = {1: 3, 2: 4, 3: 2, 4: 1}
"""How many cases there are with so many rows: on one row alone, a mean is a sum."""
_MOST_KEPT = 3
"""How many more cases there are in which some sizes are the usual ones, which a function may contain as numbers."""
_MOST_TRIED = 2
"""How many times more sizes than that are tried."""
_ATTEMPTS = (1.0, 1.0, 0.5, 0.1)
"""What the numbers of each attempt are multiples of: whole ones come first."""
_NEAR = 1e-6
"""How far numbers are moved to see whether they are at a kink."""


@functools.lru_cache(maxsize=256)
@ordinary()
def small_cases(assignment: Assignment, exercise: Exercise) -> tuple[Case, ...]:
    """
    Small cases of an exercise, float32, those with the fewest numbers first. The result is cached.

    Returns:
        Nothing if the network's sizes cannot be made small enough, or for straight lines, which read all of it.
    """
    if exercise.is_lines:
        return ()
    cases: list[Case] = []
    public = practising(assignment)
    with warnings.catch_warnings(), contextlib.suppress(GraderError):  # of a network that other sizes confuse
        warnings.simplefilter("ignore")
        networks = small_networks(public)
        for rows, quota in _QUOTAS.items():
            cases += _cases(public, exercise, networks, _small_sizes(exercise, networks, rows), quota)
        cases += _cases(public, exercise, networks, _kept_sizes(exercise, networks), _MOST_KEPT)
    cases.sort(key=lambda case: sum(tensor.numel() for tensor in case.tensors.values()))
    return tuple(dataclasses.replace(case, name=f"small {number}") for number, case in enumerate(cases, 1))


def _cases(
    assignment: Assignment, exercise: Exercise, networks: SmallNetworks, tried: Iterable[Sizes], most: int
) -> Iterator[Case]:
    """Cases of these sizes, one of each, that are beyond doubt; at most so many."""
    drawn = (_draw(assignment, exercise, networks, sizes) for sizes in itertools.islice(tried, _MOST_TRIED * most))
    return itertools.islice((case for case in drawn if case is not None), most)


def _small_sizes(exercise: Exercise, networks: SmallNetworks, rows: int) -> list[Sizes]:
    """Small sizes for an exercise, those that make its arguments smallest first."""
    own = _own_sizes(exercise, networks)
    if rows not in (networks.smallest[networks.rows], *networks.larger[networks.rows]):
        return []
    others = {size: of[0] for size, of in networks.larger.items() if of} | {networks.rows: rows}
    levels = [(networks.smallest[size], *networks.larger[size][:2]) for size in own]
    found = [
        {**networks.smallest, **others, **dict(zip(own, chosen, strict=True))} for chosen in itertools.product(*levels)
    ]
    return _by_numbers(found, exercise, networks)


def _kept_sizes(exercise: Exercise, networks: SmallNetworks) -> list[Sizes]:
    """Sizes of which one or several are the usual ones, as far as that leaves few numbers."""
    usual = [size for size in _own_sizes(exercise, networks) if size <= MOST_NUMBERS]
    base = {**networks.smallest, networks.rows: 2}
    chosen = [which for count in range(1, len(usual) + 1) for which in itertools.combinations(usual, count)]
    return _by_numbers([{**base, **dict(zip(which, which, strict=True))} for which in chosen], exercise, networks)


def _own_sizes(exercise: Exercise, networks: SmallNetworks) -> list[int]:
    """The sizes of what an exercise takes and returns that may change, but for the number of rows."""
    shapes = networks.shapes_of([*exercise.arguments, *exercise.targets])
    return [size for size in networks.larger if size != networks.rows and any(size in shape for shape in shapes)]


def _by_numbers(sizes: Iterable[Sizes], exercise: Exercise, networks: SmallNetworks) -> list[Sizes]:
    """The sizes that make no argument too large, in the order of how many numbers there are."""

    def numbers(each: Sizes, names: Iterable[str]) -> list[int]:
        return [math.prod(each.get(size, size) for size in shape) for shape in networks.shapes_of(names)]

    fitting = [each for each in sizes if max(numbers(each, exercise.arguments), default=0) <= MOST_NUMBERS]
    return sorted(fitting, key=lambda each: sum(numbers(each, [*exercise.arguments, *exercise.targets])))


def _draw(assignment: Assignment, exercise: Exercise, networks: SmallNetworks, sizes: Sizes) -> Case | None:
    """A case of these sizes; None if there is some doubt about each that was drawn."""
    drawn = (_drawn(assignment, exercise, networks, sizes, number, step) for number, step in enumerate(_ATTEMPTS))
    return next((case for case in drawn if case is not None), None)


def _drawn(
    assignment: Assignment,
    exercise: Exercise,
    networks: SmallNetworks,
    sizes: Sizes,
    attempt: int,
    step: float,
) -> Case | None:
    """A case of these sizes, whose numbers are multiples of a step; None if there is any doubt about it."""
    point = Point(name="small", rows=sizes[networks.rows], dtype=torch.float32, random_cotangent=True)
    seed = seed_of(assignment, f"small/{exercise.name}/{attempt}/{sorted(sizes.items())}", hidden=False)
    network = networks.network(sizes, seed=seed, step=step)
    if network is None:
        return None
    upstream = _upstream(assignment, exercise, point, network, np.random.RandomState(seed), step)
    case = case_at(assignment, exercise, point, network, upstream)
    if any(tensor.numel() > MOST_NUMBERS for tensor in case.tensors.values()) or not _says_something(case):
        return None
    if exercise.name in assignment.solutions and not _agrees(assignment, exercise, case):
        return None
    return case if _is_smooth(assignment, exercise, networks, network, case) else None


def _upstream(
    assignment: Assignment,
    exercise: Exercise,
    point: Point,
    network: Network,
    random: np.random.RandomState,
    step: float,
) -> Mapping[str, torch.Tensor]:
    """
    Upstream gradients for a small case: small numbers where any numbers can occur, or else some that can.

    A gradient that has passed a mask is zero there, and one that comes out of a softmax has a sum of zero.
    """
    possible = cotangents_at(assignment, exercise, point, network)
    if exercise.partial or any(_has_zero_sums(gradient) for gradient in possible.values()):
        return possible
    return {
        name: torch.where(
            gradient == 0,
            gradient,
            step * torch.from_numpy(random.choice([-2.0, -1.0, 1.0, 2.0, 3.0], tuple(gradient.shape))),
        )
        for name, gradient in possible.items()
    }


def _has_zero_sums(gradient: torch.Tensor) -> bool:
    """Whether the sums along one of its axes all vanish, although not all numbers do."""
    size = float(gradient.abs().max())
    return any(
        gradient.shape[axis] > 1 and float(gradient.sum(dim=axis).abs().max()) <= 1e-9 * size
        for axis in range(gradient.dim())
    )


def _says_something(case: Case) -> bool:
    """Whether few numbers are zero, and what is right has a size that can be printed in a few digits."""
    for name, tensor in case.tensors.items():
        least = tensor.numel() / 2 if name in case.cotangents else 1
        if tensor.is_floating_point() and int(tensor.count_nonzero()) < least:
            return False
    largest = [float(part.double().abs().max()) for part in case.expected if part.numel()]
    return bool(largest) and all(0.05 <= size <= 100 for size in largest)


def _agrees(assignment: Assignment, exercise: Exercise, case: Case) -> bool:
    try:
        check_solution(assignment, exercise, case)
    except GraderError:
        return False
    return True


def _is_smooth(
    assignment: Assignment, exercise: Exercise, networks: SmallNetworks, network: Network, case: Case
) -> bool:
    """Whether what is right changes by little if all numbers of the network change by little."""
    for sign in (1.0, -1.0):
        random = np.random.RandomState(1)
        moved = [
            {
                name: tensor + sign * _NEAR * torch.from_numpy(random.standard_normal(tuple(tensor.shape)))
                if networks.is_number(name)
                else tensor
                for name, tensor in tensors.items()
            }
            for tensors in (network.inputs, network.parameters)
        ]
        near = evaluate_network(assignment, *moved)
        gradients = reference(assignment, exercise, near, case.cotangents)
        for part, expected in zip(parts_of(assignment, exercise, near, gradients), case.expected, strict=True):
            size = float(expected.double().abs().max())
            if float((part.double() - expected.double()).abs().max()) > 1e-3 * size:
                return False
    return True
