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
        None if the backward pass was not run.
    """
    gradients = read_gradients(reply, assignment.exercises)
    linked = [exercise for exercise in assignment.exercises if exercise.is_link]
    if gradients is None or not linked:
        return None
    links: dict[str, Outcome] = {}
    for depth, exercise in enumerate(linked, start=1):
        got = [gradients.get(f"{exercise.name}/d{target}") for target in exercise.targets]
        if all(gradient is not None for gradient in got):
            compared = [
                compare(
                    gradient,
                    chain.expected[f"d{target}"],
                    terms=depth * chain.terms,
                    argument_dtype=torch.float32,
                    scale=depth * chain.scales.get(f"d{target}", 0.0),
                )
                for target, gradient in zip(exercise.targets, got, strict=True)
                if gradient is not None
            ]
            is_match = all(comparison.outcome is Outcome.MATCH for comparison in compared)
            links[exercise.name] = Outcome.MATCH if is_match else Outcome.MISMATCH
        elif outcomes[exercise.name].passed is True:
            links[exercise.name] = Outcome.SKIPPED
        else:
            links[exercise.name] = outcomes[exercise.name]
    losses = read_losses(reply, steps=assignment.steps)
    if not losses:
        return Chain(links=links)
    shapes: dict[str, torch.Size] = {}
    for exercise in linked:
        for target in exercise.targets:  # if two functions derive the same gradient, the first one updates
            if (gradient := gradients.get(f"{exercise.name}/d{target}")) is not None:
                shapes.setdefault(target, gradient.shape)
    never_updated = [name for name, parameter in chain.parameters.items() if shapes.get(name) != parameter.shape]
    asked = {target for exercise in linked for target in exercise.targets}
    message = _never_updated(
        [name for name in never_updated if name in asked], [name for name in never_updated if name not in asked]
    )
    return Chain(links=links, training=Curve(reference=chain.losses, student=losses), message=message)


def _never_updated(failed: Sequence[str], unasked: Sequence[str]) -> str:
    """What training did not update, in sentences: parameters whose gradient failed, and those without an exercise."""
    sentences = []
    if failed:
        its = "its gradient was" if len(failed) == 1 else "their gradients were"
        sentences.append(f"In training, {_were(failed)} never updated: {its} missing or had the wrong shape.")
    if unasked:
        its = "its gradient" if len(unasked) == 1 else "their gradients"
        sentences.append(f"In training, {_were(unasked)} never updated: no exercise asks for {its}.")
    return " ".join(sentences)


def _were(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} was"
    return f"{', '.join(names[:-1])} and {names[-1]} were"
