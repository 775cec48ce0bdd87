"""The drawing of the backward pass: boxes and edges are in the right order and do not overlap."""

from __future__ import annotations

import itertools
import re

import pytest

from grader.model import ExerciseResult, Outcome
from grader.reports.graph import LOSS, Box, Graph, draw_graph
from tests.conftest import SOURCES, assignment_called


def results(*exercises: tuple[str, tuple[str, ...], tuple[str, ...]]) -> list[ExerciseResult]:
    return [
        ExerciseResult(
            name=name, outcome=Outcome.MATCH, points=1, max_points=1, arguments=arguments, targets=targets, message=""
        )
        for name, arguments, targets in exercises
    ]


def graph_of(assignment_id: str) -> Graph:
    return draw_graph(results(*((e.name, e.arguments, e.targets) for e in assignment_called(assignment_id).exercises)))


def boxes(graph: Graph) -> dict[str, Box]:
    return {box.name: box for box in graph.boxes}


@pytest.mark.parametrize("name", sorted(path.stem for path in SOURCES.glob("*.md")))
def test_boxes_do_not_overlap_and_edges_lead_down(name: str) -> None:
    graph = graph_of(name)

    for first, second in itertools.combinations(graph.boxes, 2):
        assert abs(first.x - second.x) >= (first.width + second.width) / 2 or abs(first.y - second.y) >= first.height
    for box in graph.boxes:
        assert 0 <= box.x - box.width / 2 < box.x + box.width / 2 <= graph.width
        assert 0 <= box.y - box.height / 2 < box.y + box.height / 2 <= graph.height
    for edge in graph.edges:
        ys = [float(y) for y in re.findall(r"(?:M|V|[\d.]+ )([\d.]+)(?=C|V|$)", edge.path)]
        assert ys == sorted(ys)
        assert ys[-1] == boxes(graph)[edge.name].y - boxes(graph)[edge.name].height / 2
    assert graph.width < 600, "legible on a narrow page"


def test_a_function_stands_below_those_whose_gradients_it_takes() -> None:
    graph = graph_of("two_layer_mse")
    depth = {name: box.y for name, box in boxes(graph).items()}

    assert depth[LOSS] < depth["grad_yhat"] < depth["grad_a1"] < depth["grad_z1"] < depth["grad_w1"] == depth["grad_b1"]
    assert len(graph.edges) == 7


def test_an_edge_goes_around_the_boxes_between() -> None:
    graph = draw_graph(
        results(
            ("grad_a", (), ("a",)),
            ("grad_b", ("da",), ("b",)),
            ("grad_c", ("db",), ("c",)),
            ("grad_d", ("da", "dc"), ("d",)),
        )
    )
    long = max((edge.path for edge in graph.edges if edge.name == "grad_d"), key=len)
    middle = {name: box.x for name, box in boxes(graph).items()}

    passed = [float(x) for x in re.findall(r"([\d.]+) [\d.]+V", long)]
    assert len(passed) == 2
    assert all(
        abs(x - middle[name]) > boxes(graph)[name].width / 2
        for x, name in zip(passed, ("grad_b", "grad_c"), strict=True)
    )


def test_two_derivations_of_a_gradient_and_a_circle_of_functions() -> None:
    """The first derivation is passed on. A circle is drawn, too; in which order does not matter."""
    two = draw_graph(results(("grad_a", (), ("a",)), ("grad_a_fused", (), ("a",)), ("grad_b", ("da",), ("b",))))
    circle = draw_graph(results(("grad_a", ("db",), ("a",)), ("grad_b", ("da",), ("b",)), ("grad_c", ("dc",), ("c",))))

    start = next(edge.path for edge in two.edges if edge.name == "grad_b").split("C")[0]
    assert start == f"M{boxes(two)['grad_a'].x:g} {boxes(two)['grad_a'].y + 14:g}"
    assert {box.name for box in circle.boxes} == {LOSS, "grad_a", "grad_b", "grad_c"}
