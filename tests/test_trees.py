"""Code is turned into syntax trees in several threads, and in processes that fork meanwhile."""

from __future__ import annotations

import ast
import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.trees import expression_of, tree_of

CODE = "\n".join(f"d{i} = ((a + {i}) * (b - {i})) / (n if n else [1, (2, 3)][0])" for i in range(60))


@pytest.fixture
def eager_collections() -> Iterator[None]:
    """Garbage is collected again and again, and what is collected lets other threads have their turn."""
    thresholds = gc.get_threshold()
    gc.set_threshold(5)
    yield
    gc.set_threshold(*thresholds)


class Rubbish:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0.0001)


@pytest.mark.usefixtures("eager_collections")
@pytest.mark.parametrize(
    ("parse", "code"),
    [(tree_of, CODE), (expression_of, "+".join(line.partition(" = ")[2] for line in CODE.splitlines()))],
    ids=["tree_of", "expression_of"],
)
def test_threads_may_parse_at_once(parse: Callable[[str], ast.AST], code: str) -> None:
    """`ast.parse` itself fails so until Python 3.12."""

    def work(_: int) -> str:
        for _ in range(40):
            Rubbish()
            tree = parse(code)
        return ast.dump(tree)

    with ThreadPoolExecutor(3) as threads:
        assert set(threads.map(work, range(3))) == {ast.dump(parse(code))}
