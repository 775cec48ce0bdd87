"""
The backward pass as a drawing: the gradients as boxes, from the loss down, in layers.

The layout is Sugiyama's (*Methods for visual understanding of hierarchical system structures*, 1981) with as little of
it as graphs of twenty boxes need. Everything is in the units of the drawing's own viewBox, y downwards.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from grader.model import ExerciseResult

__all__ = ["LOSS", "Box", "Edge", "Graph", "draw_graph"]

LOSS = ""
"""The name of the first box, which is no function's."""
_LOSS_TEXT = "loss"
_BOX_HEIGHT, _LAYER_HEIGHT, _GAP, _MARGIN = 28, 62, 18, 6
_CHARACTER, _PADDING, _SYMBOL = 8.0, 20, 18
_BEND_WIDTH = 6.0  # what an edge takes that passes a layer by
_ROUNDS = 12
_LONGEST = 26


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A function's gradients; `name` is the function's. x and y are its middle."""

    name: str
    text: str
    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What carries a gradient into the box of the function `name`: SVG path data."""

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
    """Room in a layer: for a box, or for an edge that passes by."""

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
    Lay the exercises out: one that is given a gradient stands below the one that makes it.

    A function is given a gradient where an argument has the name of another's target, with a `d` before it.
    """
    # Of two derivations of one gradient the first one's is passed on.
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
    text = ", ".join(f"d{target}" for target in exercise.targets)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _width(text: str) -> float:
    return _CHARACTER * len(text) + _PADDING


def _layers(parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How far each function is from the loss, by the longest way."""
    layers = {LOSS: 0}
    for _ in parents:  # at least one more is known after each round, but for those that wait for each other
        for name, above in parents.items():
            if all(parent in layers for parent in above):
                layers[name] = 1 + max(layers[parent] for parent in above)
    del layers[LOSS]
    return {name: layers.get(name, 1) for name in parents}


def _connect(start: _Place, end: _Place) -> list[_Place]:
    """The places that an edge goes through, one in each layer."""
    route = [start, *(_Place(layer=layer, width=_BEND_WIDTH) for layer in range(start.layer + 1, end.layer)), end]
    for one, next_one in itertools.pairwise(route):
        one.below.append(next_one)
        next_one.above.append(one)
    return route


def _arrange(layers: list[list[_Place]]) -> None:
    """Give each place its x: near what it is connected with, and beside its neighbours."""
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
    """As near as can be to where each wants to be, in their order, none over another."""
    gaps = [0.0, *((one.width + other.width) / 2 + _GAP for one, other in itertools.pairwise(layer))]
    pushed_right, pushed_left = list(wanted), list(wanted)
    for n in range(1, len(layer)):
        pushed_right[n] = max(pushed_right[n], pushed_right[n - 1] + gaps[n])
    for n in range(len(layer) - 1, 0, -1):
        pushed_left[n - 1] = min(pushed_left[n - 1], pushed_left[n] - gaps[n])
    for place, one, other in zip(layer, pushed_right, pushed_left, strict=True):
        place.x = (one + other) / 2


def _path(route: Sequence[_Place]) -> str:
    """Down out of a box, past what is between, and into the next from above."""
    start = route[0]
    parts = [f"M{start.x:g} {start.y + _BOX_HEIGHT / 2:g}"]
    y = start.y + _BOX_HEIGHT / 2
    for number, (one, other) in enumerate(itertools.pairwise(route), start=1):
        is_last = number == len(route) - 1
        top = other.y - _BOX_HEIGHT / 2
        bend = (y + top) / 2
        parts.append(f"C{one.x:g} {bend:g} {other.x:g} {bend:g} {other.x:g} {top:g}")
        y = other.y + _BOX_HEIGHT / 2
        if not is_last:
            parts.append(f"V{y:g}")
    return "".join(parts)
