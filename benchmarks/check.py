"""
Times `check(grad_w1)` in a notebook, drawing included, and autograd on the same network.

    python benchmarks/check.py

Every exercise of every assignment is checked with its solution in place: first one exercise right after the imports,
then each exercise several times. Exits with 1 if a first check, or the median of an exercise, takes longer than
`LIMIT_MS`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from grader.assignment.declared import declaration
from grader.assignment.find import find_sources
from grader.assignment.load import default_inputs
from grader.assignment.source import SourceNotebook, read_source
from grader.checking.check import Check, Checked
from grader.reference.mnist import load_mnist, read_split

LIMIT_MS = 50.0
ROUNDS = 7
SOLUTIONS = Path(__file__).parent.parent / "solutions"


def main() -> int:
    """Print the table. Returns 1 if a check is too slow, else 0."""
    torch.set_num_threads(1)
    load_mnist()  # as every notebook does
    headings = ("first", "median", "slowest", "all()", "floor")
    print(f"{'assignment':24}" + "".join(f"{heading:>10}" for heading in headings) + "   milliseconds")
    slowest = 0.0
    for path in find_sources(SOLUTIONS).values():
        source = read_source(path)
        check, namespace = opened(source)
        names = [exercise.name for exercise in source.exercises]
        first = milliseconds(shown, check.examine, names[0], namespace)
        medians = [typical(shown, check.examine, name, namespace) for name in names]
        whole = typical(shown, check.examine_all, namespace)
        floor = typical(forward_and_backward, namespace)
        slowest = max(slowest, first, *medians)
        numbers = (first, statistics.median(medians), max(medians), whole, floor)
        print(f"{source.id:24}" + "".join(f"{number:10.1f}" for number in numbers))
    print(f"The slowest check takes {slowest:.1f} ms; it may take {LIMIT_MS:g} ms.")
    return 0 if slowest <= LIMIT_MS else 1


def opened(source: SourceNotebook) -> tuple[Check, dict[str, Any]]:
    """The `check` and the namespace of a notebook in which everything is solved and imported."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in (*source.network, *source.exercises):
        exec(cell.code, namespace)
    exec(declaration(source.id, source.exercises, source.settings, {}), namespace)
    return namespace["check"], namespace


def forward_and_backward(namespace: dict[str, Any]) -> None:
    """Autograd on the three batches of the cases: the least that the check of a new network has to do."""
    images, labels = (torch.from_numpy(array) for array in read_split("test"))
    make_inputs = namespace.get("make_inputs", default_inputs)
    for rows in (64, 48, 17):
        generator = torch.Generator().manual_seed(rows)
        inputs = make_inputs(images[:rows].reshape(-1, 28, 28), labels[:rows].long(), generator)
        inputs = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
        drawn = namespace["init_parameters"](generator)
        parameters = {name: tensor.double().requires_grad_() for name, tensor in drawn.items()}
        loss = namespace["forward"](**inputs, **parameters)["loss"]
        torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)


def shown(examine: Callable[..., Checked], *arguments: Any) -> dict[str, str]:
    """Examine something, and return what a notebook displays."""
    return examine(*arguments)._repr_mimebundle_()


def milliseconds(work: Callable[..., object], *arguments: Any) -> float:
    """The wall time of one call, in milliseconds."""
    started = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - started)


def typical(work: Callable[..., object], *arguments: Any) -> float:
    """The median wall time of several calls, in milliseconds."""
    return statistics.median(milliseconds(work, *arguments) for _ in range(ROUNDS))


if __name__ == "__main__":
    sys.exit(main())
