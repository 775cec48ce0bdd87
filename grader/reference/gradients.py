"""
Autograd's gradients for an exercise: upstream gradients, the gradient of each target, and what the function returns.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.assignment.source import as_sentence
from grader.calling.equation import evaluate, free_names
from grader.calling.exercise import Exercise
from grader.calling.nested import tensors_in
from grader.errors import SourceError
from grader.reference.networks import Network, Point, seed_of
from grader.reference.upstream import Draw, weighted_gradients

__all__ = [
    "Sizes",
    "cotangents_at",
    "given_to",
    "ignored_in",
    "parts_of",
    "reference",
    "sizes_of_terms",
    "upstream_of",
    "weighted",
]

_CANCELLED = 1e-2
"""If a gradient is smaller than this, relative to the upstream gradients, its terms may cancel."""
_ZERO = 1e-9
"""If a gradient of the loss is smaller than this, relative to the largest in the network, its terms cancel."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """The size of the terms that each gradient and each part of a result is a sum of, or 0 where none may cancel."""

    of_gradients: tuple[float, ...]
    of_parts: tuple[float, ...]


def upstream_of(exercise: Exercise, network: Network) -> tuple[str, ...]:
    """The names of the arguments that are upstream gradients: gradients of the loss."""
    return tuple(name for name in exercise.arguments if name not in network.values and name in network.gradients)


def cotangents_at(
    assignment: Assignment, exercise: Exercise, point: Point, network: Network
) -> dict[str, torch.Tensor]:
    """The upstream gradients of an exercise at a point, float64."""
    names = upstream_of(exercise, network)
    if not point.random_cotangent:
        whole = {name: network.gradients[name] for name in names}
    else:

        def draw(case: str, length: int) -> torch.Tensor:
            # The exercise is part of the seed, so that the argument of one exercise is not the answer to another.
            seed = seed_of(assignment, f"{case}/{exercise.name}/{length}", hidden=True)
            return torch.from_numpy(np.random.RandomState(seed).standard_normal(length))

        def combined(length: int) -> torch.Tensor:
            # A single number gets the opposite sign, so that both signs are tried.
            return 3 * draw("vjp", length) - 0.5 * draw("linear", length) if length > 1 else -1.5 * draw("vjp", length)

        weights = combined if point.combined else functools.partial(draw, point.name)
        whole = weighted(network, names, rows=point.rows, draw=weights)
    return whole | {
        name: whole[name] - _from_the_others(network, name, whole) for name in names if name[1:] in exercise.partial
    }


def weighted(network: Network, names: tuple[str, ...], *, rows: int, draw: Draw) -> dict[str, torch.Tensor]:
    """Random gradients of the loss, by name, that can occur."""
    tensors = [network.values[name.removeprefix("d")] for name in names]
    gradients = weighted_gradients(network.values["loss"], tensors, rows=rows, draw=draw) if names else ()
    return dict(zip(names, gradients, strict=True))


def given_to(
    assignment: Assignment, exercise: Exercise, network: Network, cotangents: Mapping[str, torch.Tensor]
) -> dict[str, Any]:
    """
    The arguments of an exercise by name, float64: tensors, or what the network makes of tensors, numbers and text.

    Raises:
        SourceError: The network has no such tensor.
    """
    if exercise.is_lines:  # they may read all of the network, and go on with right gradients
        gradients = {f"d{target}": network.gradients.get(f"d{target}") for target in exercise.targets}
        return {**network.values, **{name: g for name, g in gradients.items() if g is not None}}
    given: dict[str, Any] = {}
    constants = assignment.forward.__globals__
    for name in exercise.arguments:
        if name in cotangents:
            given[name] = cotangents[name]
        elif name in network.values and (exercise.equation or isinstance(network.values[name], torch.Tensor)):
            given[name] = network.values[name]
        elif exercise.equation and name in constants:
            if not callable(constants[name]) and not hasattr(constants[name], "__spec__"):
                given[name] = constants[name]
        elif exercise.equation:
            raise _unknown_in_call(assignment, exercise, network, name)
        else:
            raise SourceError(
                f"{assignment.called(exercise.name)} takes `{name}`, which the network does not have.",
                "An argument is the name of an input, a parameter or an intermediate, or d and one of those names.",
            )
    return given


def _unknown_in_call(assignment: Assignment, exercise: Exercise, network: Network, name: str) -> SourceError:
    """The error that `call`, or straight lines, name what the network does not have."""
    near = difflib.get_close_matches(name, [*network.values, *network.gradients], n=1, cutoff=0.5)
    hint = "Its names are those that `forward` takes or returns, `dNAME`, and constants of cells tagged `network`."
    if near:
        hint = f"Did you mean {near[0]}?"
    of = f", since it has no `{name[1:]}`" if name[0] == "d" and len(name) > 1 else ""
    if exercise.is_lines:
        return SourceError(
            f"{assignment.called(exercise.name, 'targets')} asks for `{name}`, but the network has no `{name[1:]}`.",
            hint if f"{exercise.name}.targets" in assignment.places else f"{hint} Or list the `targets`.",
        )
    return SourceError(
        f"{assignment.called(exercise.name, 'call')}: `call` names `{name}`, which the network does not have{of}.", hint
    )


def reference(
    assignment: Assignment, exercise: Exercise, network: Network, cotangents: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """
    Autograd's gradient of each target, given the upstream gradients of some tensors; without any, that of the loss.

    An upstream gradient is the whole gradient of the loss for its tensor. If one such tensor is computed from another,
    as in two steps of a recurrent network, a hook replaces what flows back to the earlier one by its upstream gradient.
    Where it is only a part of the gradient, it is added.

    The gradient of a partial target is what reaches it on its own: not through another target, as that of weights
    through the hidden state of the step before.

    Raises:
        SourceError: A target is not in the network, or the upstream gradients cannot reach it.
    """
    if not exercise.targets:
        return ()
    outputs = [network.values[name[1:]] for name in cotangents] or [network.values["loss"]]

    def carry(name: str, gradient: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        is_part, own = name[1:] in exercise.partial, network.values[name[1:]]
        # What flows back to a partial one contains the 1 from `start`, which the gradient replaces.
        return lambda back: back - torch.ones_like(own) + gradient if is_part else gradient

    hooks = [
        output.register_hook(carry(name, gradient))  # type: ignore[no-untyped-call]
        for output, (name, gradient) in zip(outputs, cotangents.items(), strict=False)
    ]
    try:
        targets = [network.values[target] for target in exercise.targets]
        # The hooks decide what flows back, so any number that depends on the outputs can be differentiated. (Given
        # `grad_outputs`, torch first imports sympy, which takes longer than a whole grading.)
        start = torch.stack([output.sum() for output in outputs]).sum()
        gradients = torch.autograd.grad(start, targets, retain_graph=True, allow_unused=True)
        for target in set(exercise.targets) & set(exercise.partial):
            number = exercise.targets.index(target)
            others = [tensor for place, tensor in enumerate(targets) if place != number and tensor.requires_grad]
            blocks = [other.register_hook(torch.zeros_like) for other in others]  # type: ignore[no-untyped-call]
            alone = torch.autograd.grad(start, [targets[number]], retain_graph=True, allow_unused=True)
            gradients = (*gradients[:number], *alone, *gradients[number + 1 :])
            for block in blocks:
                block.remove()
        if all(gradient is None for gradient in gradients):
            raise RuntimeError(f"{' and '.join(cotangents) or 'the loss'} cannot reach it")
    except KeyError as error:
        if exercise.equation:
            raise _unknown_in_call(assignment, exercise, network, f"d{error.args[0]}") from error
        raise SourceError(
            f"{assignment.called(exercise.name)}: the network has no {error.args[0]} to take the gradient of.",
            "Name the function grad_<name of a tensor>, or set `targets`.",
        ) from error
    except RuntimeError as error:
        raise SourceError(
            f"{assignment.called(exercise.name)}: autograd has no gradient of {', '.join(exercise.targets)} ({error}).",
            "The tensors of the upstream gradients must be computed from the targets.",
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(
        torch.zeros_like(target) if gradient is None else gradient.detach().clone()
        for target, gradient in zip(targets, gradients, strict=True)
    )


def parts_of(
    assignment: Assignment, exercise: Exercise, network: Network, gradients: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    """
    What an exercise must return: its parts, in their order. Numbers of floating point are float64.

    Args:
        gradients: Of the targets, in their order.

    Raises:
        SourceError: A part cannot be computed.
    """
    if not exercise.equation:
        return gradients
    known = {**network.values, **{f"d{target}": g for target, g in zip(exercise.targets, gradients, strict=True)}}
    parts = []
    for part in exercise.parts:
        try:
            with torch.enable_grad():
                value = evaluate(part, known, {**assignment.forward.__globals__, "derivative": _derivative})
            tensor = torch.as_tensor(value).detach().clone()
        except Exception as error:
            raise SourceError(
                f"{assignment.called(exercise.name, 'call')}: `{part}` cannot be computed ({as_sentence(error)[:-1]}).",
                "A part of a result is an expression of the network's names, of `dNAME`, and of derivative(a, z).",
            ) from error
        parts.append(tensor.double() if tensor.is_floating_point() else tensor)
    return tuple(parts)


def ignored_in(assignment: Assignment, exercise: Exercise, network: Network) -> tuple[torch.Tensor | None, ...]:
    """
    Which entries of each part do not count, as booleans; None where all do.

    Raises:
        SourceError: A condition cannot be computed.
    """
    masks: list[torch.Tensor | None] = []
    for condition in exercise.ignored:
        try:
            holds = evaluate(condition, network.values, assignment.forward.__globals__) if condition else None
            masks.append(None if holds is None else torch.as_tensor(holds).detach().bool())
        except Exception as error:
            raise SourceError(
                f"{assignment.called(exercise.name, 'ignore')}: `{condition}` cannot be computed "
                f"({as_sentence(error)[:-1]}).",
                "A condition in `ignore` is an expression of the network's names, such as `a1 == 0`.",
            ) from error
    return tuple(masks)


def sizes_of_terms(
    assignment: Assignment,
    exercise: Exercise,
    network: Network,
    cotangents: Mapping[str, torch.Tensor],
    gradients: tuple[torch.Tensor, ...],
    given: Mapping[str, Any],
) -> Sizes:
    """
    The size of the terms that each gradient is a sum of, or 0 where none is so small that its terms may cancel.

    Terms that cancel for the given upstream gradients do not cancel for others of the same size, drawn at random. The
    terms of a part that is no gradient are as large as what the function is given.
    """
    largest = max(map(_root_mean_square, cotangents.values()), default=0.0)
    of_gradients = tuple(0.0 for _ in gradients)
    of_parts = tuple(0.0 for _ in exercise.parts)
    redrawn: tuple[torch.Tensor, ...] = ()
    if not all(_largest(gradient) > _CANCELLED * largest for gradient in gradients):
        redrawn = reference(assignment, exercise, network, _redrawn(cotangents))
    elif not cotangents:
        redrawn = tuple(
            _without_upstream(assignment, exercise, network, target, gradient)
            for target, gradient in zip(exercise.targets, gradients, strict=True)
        )
    if redrawn:
        of_gradients = tuple(map(_largest, redrawn))
        of_parts = tuple(map(_largest, parts_of(assignment, exercise, network, redrawn)))
    names = {f"d{target}" for target in exercise.targets}
    floating = [tensor for _, tensor in tensors_in("", list(given.values())) if tensor.is_floating_point()]
    of_arguments = max(map(_largest, floating), default=0.0)
    return Sizes(
        of_gradients=of_gradients,
        of_parts=tuple(
            size if names & set(free_names(part)) else of_arguments
            for part, size in zip(exercise.parts, of_parts, strict=True)
        ),
    )


def _without_upstream(
    assignment: Assignment, exercise: Exercise, network: Network, target: str, gradient: torch.Tensor
) -> torch.Tensor:
    """A gradient for random upstream gradients, where the true ones cancel; zeros where they do not."""
    if _largest(gradient) > _ZERO * max(map(_largest, network.gradients.values())):
        return torch.zeros_like(gradient)
    upstream = {f"d{name}": network.gradients[f"d{name}"] for name in _computed_from(network, target)}
    alone = dataclasses.replace(exercise, targets=(target,), partial=())
    return reference(assignment, alone, network, _redrawn(upstream))[0]


def _computed_from(network: Network, target: str) -> list[str]:
    """The named tensors that are computed from a tensor, with no other named one between."""
    nodes = {
        value.grad_fn: name
        for name, value in network.values.items()
        if isinstance(value, torch.Tensor) and value.grad_fn is not None
    }
    tensor = network.values[target]
    wanted = tensor.grad_fn if tensor.grad_fn is not None else None
    found = []
    for start, name in nodes.items():
        waiting, known = [start], {start}
        while waiting:
            for node, _ in waiting.pop().next_functions:
                if node is None or node in known:
                    continue
                known.add(node)
                if node is wanted or getattr(node, "variable", None) is tensor:
                    found.append(name)
                elif node not in nodes:
                    waiting.append(node)
    return list(dict.fromkeys(found))


def _redrawn(gradients: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Random gradients of the same sizes."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: _root_mean_square(gradient) * torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        for name, gradient in gradients.items()
    }


def _root_mean_square(tensor: torch.Tensor) -> float:
    return float(tensor.square().mean().sqrt())


def _from_the_others(network: Network, name: str, whole: Mapping[str, torch.Tensor]) -> torch.Tensor | float:
    """What flows back to a tensor through the other tensors whose upstream gradients are given."""
    own = network.values[name[1:]]
    others = {other: gradient for other, gradient in whole.items() if other != name}
    if not others:
        return 0.0
    total = torch.stack([(network.values[other[1:]] * gradient).sum() for other, gradient in others.items()]).sum()
    (gradient,) = torch.autograd.grad(total, [own], retain_graph=True, allow_unused=True)
    return 0.0 if gradient is None else gradient


def _derivative(output: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """The derivative of each entry of a tensor for the entry of another one in the same place."""
    (gradient,) = torch.autograd.grad(output.sum(), [of], retain_graph=True)
    return gradient


def _largest(tensor: torch.Tensor) -> float:
    size = float(tensor.detach().double().abs().max()) if tensor.numel() else 0.0
    return size if math.isfinite(size) else 0.0
