"""
What an exercise is.
"""

from __future__ import annotations

import dataclasses

from grader.calling.equation import parts_asked

__all__ = ["Exercise"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """
    One function to write: of a gradient, in most cases.

    Attributes:
        name: The function's name, `grad_w1`.
        targets: The tensors whose gradients the function returns, in that order.
        arguments: The names of what the function is given, in order.
        points: What the exercise is worth.
        tolerance: How many times the error that rounding can explain an entry may have.
        question: The function's docstring in the released notebook.
        equation: How the function is called and what it must return (`grader.calling.equation`). Empty if its
            parameters have the names of its arguments and it returns the gradient of each target.
        shares: The points of each part of the result; empty if there are points only for all of them together.
        arrays: "torch" or "numpy": what arrays are given to the function.
        partial: The tensors whose gradient here is not the whole one: a later step adds the rest.
        is_lines: Whether it is no function but straight lines, `dlogits = …`, of which each name is judged by itself.
        is_composed: Whether a blank has code around what is to be written, such as a class, or helpers beside it.
        is_class: Whether it is a class, which the equation makes an object of.
        ignored: For each part, the condition under which its entries do not count, `a1 == 0`; empty if all count.
        is_squeezable: Whether dimensions of size 1 may be missing in a result, or too many.
    """

    name: str
    targets: tuple[str, ...]
    arguments: tuple[str, ...]
    points: float = 1.0
    tolerance: float = 1.0
    question: str = ""
    equation: str = ""
    shares: tuple[float, ...] = ()
    arrays: str = "torch"
    partial: tuple[str, ...] = ()
    is_squeezable: bool = False
    ignored: tuple[str, ...] = ()
    is_lines: bool = False
    is_composed: bool = False
    is_class: bool = False

    @property
    def is_link(self) -> bool:
        """Whether it takes part in the backward pass that all functions form together."""
        return bool(self.targets) and not self.partial and not self.is_lines

    @property
    def parts(self) -> tuple[str, ...]:
        """What the function must return, as one writes it: `dw1`, or `len(x) * dz1`."""
        return parts_asked(self.equation, self.targets)
