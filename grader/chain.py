"""
Judges the backward pass that is composed of all of a student's functions. It gives no points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from grader.assignment.load import Assignment
from grader.compare import compare
from grader.execution.calls import read_gradients, read_losses
from grader.execution.channel import Reply
from grader.model import Chain, Curve, Outcome
from grader.reference.chain import ChainCase

__all__ = ["judge_chain"]


def judge_chain(
    assignment: Assignment, chain: ChainCase, reply: Reply, outcomes: Mapping[str, Outcome]
) -> Chain | None:
    """
    Judge the backward pass in which each function is called with what the others returned. It decides no points.

    Args:
        outcomes: The outcome of each exercise when it is called with the right arguments.

    Returns:
        None if there is no such backward pass, or it was not run.
    """
    gradients = read_gradients(reply, assignment.exercises)
    by_name = {exercise.name: exercise for exercise in assignment.exercises}
    if gradients is None or not chain.returned:
        return None
    links: dict[str, Outcome] = {}
    factor = 1.0
    for depth, (name, returned) in enumerate(chain.returned.items(), start=1):
        factor = max(factor, by_name[name].tolerance)
        got = [gradients.get(f"{name}/{gradient}") for gradient in returned]
        if all(gradient is not None for gradient in got):
            compared = [
                compare(
                    gradient,
                    chain.expected[of],
                    terms=depth * chain.terms,
                    argument_dtype=torch.float32,
                    scale=depth * chain.scales.get(of, 0.0),
                    factor=factor,
                )
                for of, gradient in zip(returned, got, strict=True)
                if gradient is not None
            ]
            is_match = all(comparison.outcome is Outcome.MATCH for comparison in compared)
            links[name] = Outcome.MATCH if is_match else Outcome.MISMATCH
        elif outcomes[name].passed is True:
            links[name] = Outcome.SKIPPED
        else:
            links[name] = outcomes[name]
    losses = read_losses(reply, steps=assignment.steps)
    if not losses:
        return Chain(links=links, given=chain.given)
    shapes: dict[str, torch.Size] = {}
    for name, returned in chain.returned.items():
        for of in returned:  # if two functions derive the same gradient, the first one updates
            if (gradient := gradients.get(f"{name}/{of}")) is not None:
                shapes.setdefault(of[1:], gradient.shape)
    never_updated = [
        name
        for name in chain.trained
        if f"d{name}" not in chain.given and shapes.get(name) != chain.parameters[name].shape
    ]
    return Chain(
        links=links,
        given=chain.given,
        training=Curve(reference=chain.losses, student=losses),
        message=_never_updated(never_updated),
    )


def _never_updated(failed: Sequence[str]) -> str:
    """What training did not update because its gradient failed, in a sentence."""
    if not failed:
        return ""
    its = "its gradient was" if len(failed) == 1 else "their gradients were"
    return f"In training, {_were(failed)} never updated: {its} missing or had the wrong shape."


def _were(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} was"
    return f"{', '.join(names[:-1])} and {names[-1]} were"
