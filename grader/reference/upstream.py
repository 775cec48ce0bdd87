"""
Draws upstream gradients that can occur: those of a loss in which every image counts with a random weight.

A right answer may use what is always so: that a gradient is zero where a mask is, or that it sums to zero over the
classes because it comes out of a softmax. Numbers from a normal distribution have no such properties. A weighted loss
has them all, because everything between the loss and a tensor stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["Draw", "weighted_gradients"]

Draw = Callable[[int], torch.Tensor]
"""Draws so many weights, float64; for the same number, always the same ones."""


def weighted_gradients(
    loss: torch.Tensor, tensors: Sequence[torch.Tensor], *, rows: int, draw: Draw
) -> list[torch.Tensor]:
    """
    The gradient of a weighted loss for each tensor, float64; zeros for a tensor without an effect on the loss.

    The loss is the end of sums and means over the batch. Where the gradient leaves its last single number, on its way
    back, each image's share gets a weight, and so does the whole. Where there is no batch, the first axis counts.

    Args:
        loss: One number, with its graph, which is kept.
        tensors: Named tensors of the graph.
        rows: The number of images.
        draw: Draws the weights. Shares of the same loss get the same ones, wherever they are added up.
    """
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    known = set()

    def weigh(node: Any) -> None:
        """Weigh what flows back from a node whose result is one number."""

        def weighted(inputs: Sequence[torch.Tensor | None], _: Any) -> tuple[torch.Tensor | None, ...]:
            for (earlier, _), gradient in zip(node.next_functions, inputs, strict=False):
                if gradient is not None and gradient.numel() == 1 and earlier is not None and earlier not in known:
                    weigh(earlier)
            return tuple(g if g is None or g.numel() == 1 else g * _along_one_axis(g.shape, rows, draw) for g in inputs)

        known.add(node)
        hooks.append(node.register_hook(weighted))

    weigh(loss.grad_fn)
    try:
        gradients = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    known_gradients = [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(tensors, gradients, strict=True)
    ]
    factor = _whole_weight(known_gradients, float(draw(1)))
    return [factor * gradient for gradient in known_gradients]


def _whole_weight(gradients: Sequence[torch.Tensor], drawn: float) -> float:
    """
    A weight that brings gradients to a size of about 1, whichever sign it has, and never to exactly 1.

    Of small numbers, a function and its linear part are the same: tanh(d) is d.
    """
    size = max((float(gradient.square().mean().sqrt()) for gradient in gradients), default=0.0)
    return math.copysign(0.5 + abs(drawn), drawn) / (size or 1.0)


def _along_one_axis(shape: torch.Size, rows: int, draw: Draw) -> torch.Tensor:
    """Weights along the axis of the batch, or else along the first axis that has more than one entry."""
    axis = shape.index(rows) if rows in shape else next(axis for axis, size in enumerate(shape) if size > 1)
    return draw(shape[axis]).reshape([-1 if other == axis else 1 for other in range(len(shape))])
