"""
The backward pass as a drawing: the gradients are boxes in layers, with the loss at the top.

The layout is a small version of Sugiyama's (*Methods for visual understanding of hierarchical system structures*,
1981), enough for graphs of about twenty boxes. All lengths are in the units of the drawing's viewBox; y points down.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from grader.model import ExerciseResult

__all__ = ["LOSS", "Box", "Edge", "Graph", "draw_graph"]

LOSS = ""
"""The name of the first box: it is the loss, not a function."""
_LOSS_TEXT = "loss"
_BOX_HEIGHT, _LAYER_HEIGHT, _GAP, _MARGIN = 28, 62, 18, 6
_CHARACTER, _PADDING, _SYMBOL = 8.0, 20, 18
_BEND_WIDTH = 6.0  # the room in a layer for an edge that passes through it
_ROUNDS = 12
_LONGEST = 26


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The gradients that one function computes; `name` is the function, x and y are the middle of the box."""

    name: str
    text: str
    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A line that leads to the box of the function `name`, as SVG path data."""

    name: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The whole drawing; the first box is the loss."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


@dataclasses.dataclass(slots=True, kw_only=True)
class _Place:
    """A place in a layer: of a box, or of an edge that passes through the layer."""

    layer: int
    width: float
    x: float = 0.0
    above: list[_Place] = dataclasses.field(default_factory=list)
    below: list[_Place] = dataclasses.field(default_factory=list)

    @property
    def y(self) -> float:
        return _MARGIN + _BOX_HEIGHT / 2 + self.layer * _LAYER_HEIGHT


def draw_graph(exercises: Sequence[ExerciseResult]) -> Graph:
    """
    Lay the exercises out: a function that takes a gradient stands below the function that returns it.

    A function takes a gradient if one of its arguments is called `d` and the name of another function's target.
    """
    # If two functions derive the same gradient, the first one passes it on.
    makers = {f"d{target}": exercise.name for exercise in exercises[::-1] for target in exercise.targets}
    parents = {
        e.name: sorted({makers[a] for a in e.arguments if makers.get(a, e.name) != e.name}) or [LOSS] for e in exercises
    }
    texts = {e.name: _text(e) for e in exercises}
    places = {LOSS: _Place(layer=0, width=_width(_LOSS_TEXT))}
    for name, layer in _layers(parents).items():
        places[name] = _Place(layer=layer, width=_width(texts[name]) + _SYMBOL)
    routes = {
        (parent, name): _connect(places[parent], places[name]) for name, above in parents.items() for parent in above
    }
    everything = [*places.values(), *(bend for route in routes.values() for bend in route[1:-1])]
    height = 1 + max(place.layer for place in everything)
    _arrange([[place for place in everything if place.layer == layer] for layer in range(height)])
    left = min(place.x - place.width / 2 for place in everything) - _MARGIN
    right = max(place.x + place.width / 2 for place in everything) + _MARGIN
    for place in everything:
        place.x = round(place.x - left, 1)
    return Graph(
        width=round(right - left),
        height=2 * _MARGIN + _BOX_HEIGHT + _LAYER_HEIGHT * (height - 1),
        boxes=tuple(
            Box(
                name=name,
                text=texts.get(name, _LOSS_TEXT),
                x=place.x,
                y=place.y,
                width=round(place.width, 1),
                height=_BOX_HEIGHT,
            )
            for name, place in places.items()
        ),
        edges=tuple(Edge(name=name, path=_path(route)) for (_, name), route in routes.items()),
    )


def _text(exercise: ExerciseResult) -> str:
    text = ", ".join(f"d{target}" for target in exercise.targets) or exercise.name
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _width(text: str) -> float:
    return _CHARACTER * len(text) + _PADDING


def _layers(parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many layers each function stands below the loss, along the longest path."""
    layers = {LOSS: 0}
    for _ in parents:  # each round finds at least one more layer, except for functions that wait for each other
        for name, above in parents.items():
            if all(parent in layers for parent in above):
                layers[name] = 1 + max(layers[parent] for parent in above)
    del layers[LOSS]
    return {name: layers.get(name, 1) for name in parents}


def _connect(start: _Place, end: _Place) -> list[_Place]:
    """The places that an edge passes through, one in each layer."""
    route = [start, *(_Place(layer=layer, width=_BEND_WIDTH) for layer in range(start.layer + 1, end.layer)), end]
    for upper, lower in itertools.pairwise(route):
        upper.below.append(lower)
        lower.above.append(upper)
    return route


def _arrange(layers: list[list[_Place]]) -> None:
    """Set each place's x: close to the places that it is connected to, and without overlap in its layer."""
    for layer in layers:
        _set_apart(layer, [0.0] * len(layer))
    for number in range(_ROUNDS):
        downwards = number % 2 == 0
        for layer in layers if downwards else layers[::-1]:
            wanted = [_middle(place.above if downwards else place.below, place.x) for place in layer]
            order = sorted(range(len(layer)), key=lambda n: (wanted[n], layer[n].x))
            layer[:] = [layer[n] for n in order]
            _set_apart(layer, [wanted[n] for n in order])
    for layer in layers:
        _set_apart(layer, [_middle(place.above + place.below, place.x) for place in layer])


def _middle(places: Sequence[_Place], otherwise: float) -> float:
    return sum(place.x for place in places) / len(places) if places else otherwise


def _set_apart(layer: Sequence[_Place], wanted: Sequence[float]) -> None:
    """Put the places of a layer as close as possible to the x wanted for each, in order and without overlap."""
    gaps = [0.0, *((left.width + right.width) / 2 + _GAP for left, right in itertools.pairwise(layer))]
    pushed_right, pushed_left = list(wanted), list(wanted)
    for n in range(1, len(layer)):
        pushed_right[n] = max(pushed_right[n], pushed_right[n - 1] + gaps[n])
    for n in range(len(layer) - 1, 0, -1):
        pushed_left[n - 1] = min(pushed_left[n - 1], pushed_left[n] - gaps[n])
    for place, rightmost, leftmost in zip(layer, pushed_right, pushed_left, strict=True):
        place.x = (rightmost + leftmost) / 2


def _path(route: Sequence[_Place]) -> str:
    """A path from the bottom of the first box, around the boxes between, to the top of the last."""
    start = route[0]
    parts = [f"M{start.x:g} {start.y + _BOX_HEIGHT / 2:g}"]
    y = start.y + _BOX_HEIGHT / 2
    for number, (upper, lower) in enumerate(itertools.pairwise(route), start=1):
        is_last = number == len(route) - 1
        top = lower.y - _BOX_HEIGHT / 2
        bend = (y + top) / 2
        parts.append(f"C{upper.x:g} {bend:g} {lower.x:g} {bend:g} {lower.x:g} {top:g}")
        y = lower.y + _BOX_HEIGHT / 2
        if not is_last:
            parts.append(f"V{y:g}")
    return "".join(parts)
