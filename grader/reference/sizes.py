"""
Finds out how small a network can be: which sizes its forward pass accepts.

No author says which sizes of a network are free. They are found by running the forward pass with other ones: equal
sizes of its inputs and parameters change together, and where another size must change with them, as the length of a
flattened image does, it is looked for. A size that the network's code fixes, such as that of a window, stays.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.errors import SourceError
from grader.modes import ordinary
from grader.reference.networks import Network, draw_inputs, draw_parameters, evaluate_network

__all__ = ["Sizes", "SmallNetworks", "small_networks"]

Sizes = Mapping[int, int]
"""For each size in the usual network, the one in its place. The number of rows stands for itself as `ROWS`."""

ROWS = 499
"""A number of rows that is no other size: a large prime."""
_SMALL = (2, 3, 4, 5, 6, 8)
_MOST_LINKED = 12


@dataclasses.dataclass(frozen=True, slots=True)
class _Leaf:
    """
    An input or a parameter, and of which kind its usual values are.

    Attributes:
        kind: "fixed" for what does not depend on the images, such as a mask; "flags", 0 and 1; "whole" numbers that
            count something; "one_hot"; or "numbers".
        lowest: The smallest number that is drawn.
        below: The size that whole numbers stay below, as a class stays below the number of classes.
        axis: The axis along which all is 0 but one 1.
    """

    usual: torch.Tensor
    kind: str
    lowest: int = 0
    below: int = 0
    axis: int = 0

    @staticmethod
    def of(tensor: torch.Tensor, sizes: set[int]) -> _Leaf:
        """What its usual values say, where `sizes` are those of all inputs and parameters."""
        are_flags = bool(((tensor == 0) | (tensor == 1)).all())
        if ROWS not in tensor.shape and (are_flags or not tensor.is_floating_point()):
            return _Leaf(tensor, "fixed")
        if tensor.is_floating_point():
            axes = [axis for axis, size in enumerate(tensor.shape) if size not in (1, ROWS)]
            one_hot = [axis for axis in axes if are_flags and bool((tensor.sum(dim=axis) == 1).all())]
            if one_hot:
                return _Leaf(tensor, "one_hot", axis=one_hot[0])
            smallest = float(tensor.min())
            lowest = 1 if smallest > 0 else 0 if smallest == 0 else -2
            return _Leaf(tensor, "flags" if are_flags else "numbers", lowest=lowest)
        if tensor.dtype == torch.bool:
            return _Leaf(tensor, "flags")
        return _Leaf(tensor, "whole", below=min((size for size in sizes if size > int(tensor.max())), default=0))

    def draw(self, sizes: Sizes, random: np.random.RandomState, step: float) -> torch.Tensor:
        """
        Small values of this kind, of another size.

        Args:
            step: What floating numbers are multiples of.
        """
        shape = [sizes.get(size, size) for size in self.usual.shape]
        if self.kind == "fixed":
            return self.usual[tuple(map(slice, shape))].clone()
        if self.kind == "one_hot":
            chosen = random.rand(*shape).argmax(axis=self.axis)
            return torch.from_numpy(np.moveaxis(np.eye(shape[self.axis])[chosen], -1, self.axis).copy())
        if self.kind == "numbers":
            return torch.from_numpy(step * random.randint(self.lowest, 4 if self.lowest >= 0 else 3, shape))
        highest = 1 if self.kind == "flags" else max(2, sizes.get(self.below, 2)) - 1
        return torch.from_numpy(random.randint(0, highest + 1, shape)).to(self.usual.dtype)


@dataclasses.dataclass(frozen=True, slots=True)
class SmallNetworks:
    """
    The small networks of an assignment.

    Attributes:
        shapes: The usual shapes of all tensors, by name, where `rows` stands for the number of rows.
        smallest: The smallest sizes that the forward pass accepts.
        larger: For each size that may change, the next larger ones that it accepts while all others are smallest.
    """

    assignment: Assignment
    inputs: Mapping[str, _Leaf]
    parameters: Mapping[str, _Leaf]
    shapes: Mapping[str, torch.Size]
    smallest: Sizes
    larger: Mapping[int, tuple[int, ...]]

    def network(self, sizes: Sizes, *, seed: int, step: float = 1.0) -> Network | None:
        """The network for these sizes, with small numbers; None if the forward pass fails, or is not finite."""
        try:
            network = evaluate_network(self.assignment, *_drawn(self.inputs, self.parameters, sizes, seed, step))
        except SourceError:
            return None
        return network if math.isfinite(float(network.values["loss"].detach())) else None

    @property
    def rows(self) -> int:
        """The size that stands for the number of rows."""
        return ROWS

    def shapes_of(self, names: Iterable[str]) -> list[torch.Size]:
        """The usual shapes of some tensors, and of gradients, which have those of their tensors."""
        known = (self.shapes.get(name, self.shapes.get(name.removeprefix("d"))) for name in names)
        return [shape for shape in known if shape is not None]

    def is_number(self, name: str) -> bool:
        """Whether an input or a parameter has numbers that may change by a little."""
        return {**self.inputs, **self.parameters}[name].kind == "numbers"


@functools.lru_cache(maxsize=32)
@ordinary()
def small_networks(assignment: Assignment) -> SmallNetworks:
    """
    The small networks of an assignment. The result is cached.

    Raises:
        SourceError: The network cannot be evaluated as it is.
    """
    usual = draw_inputs(assignment, ROWS, 0), draw_parameters(assignment, 0)
    sizes = {size for leaves in usual for tensor in leaves.values() for size in tensor.shape if size > 1}
    inputs, parameters = ({name: _Leaf.of(tensor, sizes) for name, tensor in leaves.items()} for leaves in usual)

    usual_shapes = _shapes(assignment, *usual)

    def runs(trial: Sizes) -> bool:
        """Whether the forward pass runs, and nothing that it computes became 1 long, which can hide a wrong size."""
        shapes = _shapes(assignment, *_drawn(inputs, parameters, trial, 0, 1.0))
        may_be_1 = trial[ROWS] == 1
        return bool(shapes) and all(
            len(usual_shapes[name]) == len(shape)
            and all(
                now > 1 or was == 1 or (was == ROWS and may_be_1)
                for was, now in zip(usual_shapes[name], shape, strict=True)
            )
            for name, shape in shapes.items()
        )

    found: dict[int, int] = {size: size for size in sizes} | {ROWS: 3}
    free = [ROWS]
    for size in sorted(sizes - {ROWS}, reverse=True):
        trials = (trial for small in _SMALL if small < size for trial in _trials(found, size, small))
        accepted = next((trial for trial in trials if runs(trial)), None)
        if accepted is not None:
            found = accepted
            free.append(size)
    found[ROWS] = next((rows for rows in (1, 2, 3) if runs(found | {ROWS: rows})), 3)
    larger = {
        size: tuple(
            more for more in range(found[size] + 1, found[size] + 4) if more < size and runs({**found, size: more})
        )
        for size in free
    }
    given = {name: tensor.shape for leaves in usual for name, tensor in leaves.items()}
    return SmallNetworks(assignment, inputs, parameters, {**given, **usual_shapes}, found, larger)


def _trials(found: Mapping[int, int], size: int, small: int) -> Iterator[dict[int, int]]:
    """Ways to make one size small: alone, or with another one that depends on it."""
    yield {**found, size: small}
    for linked, now in found.items():
        if linked not in (size, ROWS) and now == linked:
            for other in range(2, min(linked, _MOST_LINKED + 1)):
                yield {**found, size: small, linked: other}


def _drawn(
    inputs: Mapping[str, _Leaf], parameters: Mapping[str, _Leaf], sizes: Sizes, seed: int, step: float
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    random = np.random.RandomState(seed)
    drawn = [{name: leaf.draw(sizes, random, step) for name, leaf in leaves.items()} for leaves in (inputs, parameters)]
    return drawn[0], drawn[1]


def _shapes(
    assignment: Assignment, inputs: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Size]:
    """The shapes of all tensors of the network; empty if its forward pass fails."""
    try:
        with torch.no_grad():
            values = assignment.forward(**inputs, **{name: tensor.double() for name, tensor in parameters.items()})
    except Exception:  # whatever sizes that do not fit make of it
        return {}
    return {name: value.shape for name, value in values.items() if isinstance(value, torch.Tensor)}
