"""
What one call of one exercise is: arguments, the right result, and what may differ from it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from grader.calling.nested import tensors_in
from grader.compare import Comparison, compare, same_but_for_ones

__all__ = ["Case"]

_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""The dtypes that whole numbers and masks may have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One call of one exercise.

    Attributes:
        public: Whether students may see it: it is the public batch, or drawn from no secret.
        dtype: The dtype of the floating arguments.
        rows: How many images are in the batch, N, on whichever axis.
        arguments: By name, in the function's order: tensors of any shape, or numbers, text, and caches of all these.
        cotangents: The upstream gradients among the arguments: gradients of the loss.
        expected: Each part of the right result: autograd's gradient of a target, float64, with the target's shape; or
            what else is asked for. Only whole numbers and booleans have another dtype.
        gradients: Autograd's gradient of each target, float64.
        terms: The length of the longest sum in a gradient, for the tolerance.
        scales: For each part, the size of the terms that it is a sum of, if they may cancel.
        gradient_scales: The same for the gradient of each target.
        tolerance: How many times more than usual an entry may be off.
        is_squeezable: Whether dimensions of size 1 may be missing, or too many.
        ignored: For each part, the entries that do not count, as booleans; None, or nothing at all, if all count.
    """

    name: str
    public: bool
    dtype: torch.dtype
    rows: int
    arguments: dict[str, Any]
    expected: tuple[torch.Tensor, ...]
    terms: int
    cotangents: dict[str, torch.Tensor] = dataclasses.field(default_factory=dict)
    gradients: tuple[torch.Tensor, ...] = ()
    scales: tuple[float, ...] = ()
    gradient_scales: tuple[float, ...] = ()
    tolerance: float = 1.0
    is_squeezable: bool = False
    ignored: tuple[torch.Tensor | None, ...] = ()

    @property
    def upstream(self) -> tuple[str, ...]:
        """The names of the upstream gradients."""
        return tuple(self.cotangents)

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors in the arguments, by their own names: `x`, or `cache[0]`."""
        return dict(found for name, value in self.arguments.items() for found in tensors_in(name, value))

    def of_part(self, number: int) -> Case:
        """The case of a function that returns nothing but one part of the result."""
        return dataclasses.replace(
            self,
            expected=(self.expected[number],),
            scales=self.scales[number : number + 1],
            ignored=self.ignored[number : number + 1],
        )

    def scale_of(self, target: int) -> float:
        """The size of the terms of a part (its position), if they may cancel; 0 if they do not."""
        return self.scales[target] if self.scales else 0.0

    def compare(
        self,
        got: torch.Tensor,
        *,
        target: int,
        argument_dtype: torch.dtype,
        expected: torch.Tensor | None = None,
        scale: float = 0.0,
    ) -> Comparison:
        """
        Compare a part of a result (its position) with the reference, or with another `expected` one.

        Args:
            scale: The size of the terms of the `expected` one, if it is larger than that of the reference's.
        """
        right = self.expected[target] if expected is None else expected
        if self.is_squeezable and same_but_for_ones(got.shape, right.shape):
            got = got.reshape(right.shape)
        mask = self.ignored[target] if self.ignored else None
        if mask is not None and mask.shape == got.shape == right.shape and got.is_floating_point():
            got = torch.where(mask, right.to(got.dtype), got)
        if not self.expected[target].is_floating_point() and got.dtype in _WHOLE:
            got = got.double()
        return compare(
            got,
            right.double(),
            terms=self.terms,
            argument_dtype=argument_dtype,
            scale=max(self.scale_of(target), scale),
            factor=self.tolerance,
        )
