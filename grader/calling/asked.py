"""
What a request asks of a function: how it is called, and what its result has in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch

from grader.calling.bind import call_with
from grader.calling.equation import Equation, parts_asked
from grader.calling.lines import Lines
from grader.calling.nested import with_tensors

__all__ = ["Asked"]


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """
    What a request asks of a function.

    Attributes:
        function: Its name.
        targets: What it returns the gradients of, in that order. A result may name them.
        equation: How it is called and what is in its result; see `grader.calling.equation`. May be empty.
        arrays: "torch" or "numpy": what it is given.
        is_lines: Whether it is no function but straight lines, see `grader.calling.lines`.
        wanted: Of straight lines, the only gradient that is wanted; empty for all.
    """

    function: str
    targets: tuple[str, ...] = ()
    equation: str = ""
    arrays: str = "torch"
    is_lines: bool = False
    wanted: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What the result has in it, as one writes it: `dw1`, or `len(x) * dz1`."""
        return parts_asked(self.equation, self.targets)

    @staticmethod
    def of(described: Mapping[str, Any]) -> Asked:
        """What a request, or one of the exercises in it, asks for."""
        return Asked(
            function=described["function"],
            targets=tuple(described["targets"]),
            equation=described.get("equation", ""),
            arrays=described.get("arrays", "torch"),
            is_lines=described.get("is_lines", False),
            wanted=described.get("wanted", ""),
        )

    def call(self, variables: dict[str, Any], arguments: Mapping[str, Any]) -> Any:
        """
        Call the function.

        Args:
            variables: Those of the notebook.
            arguments: By name, tensors or what is made of tensors. As arrays of numpy, they share their memory.
        """
        if self.arrays == "numpy":
            arguments = {name: with_tensors(value, torch.Tensor.numpy) for name, value in arguments.items()}
        if self.is_lines:
            lines: Lines = variables[self.function]
            right = {name: value for name, value in arguments.items() if name in self.parts}
            given = {name: value for name, value in arguments.items() if name not in right}
            return lines.run(variables, given, right, wanted=self.wanted or None)
        if self.equation:
            return Equation.of(self.equation).bind(variables)(**arguments)
        function: Callable[..., Any] = variables[self.function]
        return call_with(function, arguments)
