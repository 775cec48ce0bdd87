"""
What the whole backward pass consists of, and that a right submission is right in it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.assignment.load import load_assignment
from grader.chain import judge_chain
from grader.execution.asking import chain_request
from grader.execution.channel import reply_from
from grader.harness.call import NotebookState
from grader.harness.serve import perform
from grader.model import Outcome
from grader.modes import ordinary
from grader.reference.chain import build_chain

ROOT = Path(__file__).parents[2]
SOURCES = [
    path for folder in ("solutions", "docs/examples", "tests/courses") for path in sorted((ROOT / folder).glob("*.md"))
]

NETWORK = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
grader: {assignment: pieces, title: Pieces}
---

```{code-cell}
:tags: [network]

import torch


def make_inputs(images, labels, generator):
    r = lambda columns: torch.randn(len(images), columns, generator=generator)
    return {"x": r(3), "y": r(1)}


def init_parameters(generator):
    r = lambda *shape: torch.randn(*shape, generator=generator)
    return {"w": r(3, 2), "b": torch.zeros(1, 2), "v": r(2, 1)}


def forward(x, y, w, b, v):
    z = x @ w + b
    a = torch.tanh(z)
    out = a @ v
    loss = ((out - y) ** 2).mean()
    return {"z": z, "a": a, "out": out, "loss": loss}
```
"""
PIECES = {
    "grad_out": "def grad_out(out, y):\n    return 2 * (out - y) / len(y)",
    "grad_a": "def grad_a(dout, v):\n    return dout @ v.T",
    "grad_z": "def grad_z(a, da):\n    return da * (1 - a**2)",
    "grad_w": "def grad_w(x, dz):\n    return x.T @ dz",
    "grad_b": "def grad_b(dz):\n    return dz.sum(0, keepdim=True)",
}


def source_with(folder: Path, *cells: tuple[str, str]) -> Path:
    """A source notebook with these exercises: each is its code, and its settings."""
    path = folder / "pieces.md"
    written = [
        f"```{{code-cell}}\n---\ntags: [exercise]\ngrader: {settings or '{}'}\n---\n"
        + code.replace("    return", '    """A gradient."""\n    ### BEGIN SOLUTION\n    return', 1)
        + "\n    ### END SOLUTION\n```\n"
        for code, settings in cells
    ]
    path.write_text("\n".join([NETWORK, *written]), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_solution_is_right_in_its_chain_and_trains_as_autograd_does(path: Path) -> None:
    assignment = load_assignment(path)
    with ordinary():
        chain = build_chain(assignment)
    if not chain.returned:
        return
    request = chain_request(assignment, assignment.exercises, chain, assignment.limits)
    written: list[bytes] = []
    perform((request.header, request.payload), written.append, state=NotebookState(dict(assignment.namespace), {}))
    right = dict.fromkeys((exercise.name for exercise in assignment.exercises), Outcome.MATCH)
    judged = judge_chain(assignment, chain, reply_from(({"status": "done"}, b"".join(written))), right)

    assert judged is not None
    assert set(judged.links.values()) == {Outcome.MATCH}
    assert judged.message == ""
    assert judged.training is not None
    assert judged.training.student == pytest.approx(judged.training.reference, rel=1e-4)


def test_most_courses_have_a_chain() -> None:
    """The test above is about something."""
    assert sum(bool(build_chain(load_assignment(path)).returned) for path in SOURCES) > len(SOURCES) // 2


@pytest.mark.parametrize(
    ("names", "returned", "given"),
    [
        (
            ("grad_out", "grad_a", "grad_z", "grad_w", "grad_b"),
            ["grad_out", "grad_a", "grad_z", "grad_w", "grad_b"],
            ("dv",),
        ),
        # as a library lists its layers: from the input to the loss
        (
            ("grad_w", "grad_b", "grad_z", "grad_a", "grad_out"),
            ["grad_out", "grad_a", "grad_z", "grad_w", "grad_b"],
            ("dv",),
        ),
        (("grad_z", "grad_w"), ["grad_z", "grad_w"], ("da", "db", "dv")),
        (("grad_w", "grad_b", "grad_out"), [], None),
        (("grad_z",), [], None),
    ],
)
def test_what_no_exercise_asks_for_is_given(
    tmp_path: Path, names: tuple[str, ...], returned: list[str], given: tuple[str, ...] | None
) -> None:
    chain = build_chain(load_assignment(source_with(tmp_path, *((PIECES[name], "") for name in names))))

    assert list(chain.returned) == returned
    if given is not None:
        assert chain.given == given
        assert chain.trained == ("w", "b", "v")


@pytest.mark.parametrize(
    ("settings", "result"),
    [
        ("{call: 'grad_a(dout, v) == da.sum() * da'}", "(dout @ v.T).sum() * (dout @ v.T)"),
        ("{call: 'grad_a(dout, v) == da', ignore: {da: a == 0}}", "dout @ v.T"),
        ("{partial: [a]}", "dout @ v.T"),
    ],
)
def test_autograd_gives_nothing_that_an_exercise_is_asked_for(tmp_path: Path, settings: str, result: str) -> None:
    """What goes on from a result in which the gradient cannot be read alone is left out of the chain."""
    pieces = PIECES | {"grad_a": f"def grad_a(dout, v):\n    return {result}"}
    cells = [(code, settings if name == "grad_a" else "") for name, code in pieces.items()]

    chain = build_chain(load_assignment(source_with(tmp_path, *cells)))

    assert "da" not in chain.given
    assert chain.returned == {}


def test_a_part_that_is_the_gradient_but_for_a_factor_is_read(tmp_path: Path) -> None:
    pieces = PIECES | {"grad_a": "def grad_a(dout, v):\n    return -3 * dout @ v.T"}
    cells = [
        (code, "{call: 'grad_a(dout, v) == -3 * da'}" if name == "grad_a" else "") for name, code in pieces.items()
    ]

    chain = build_chain(load_assignment(source_with(tmp_path, *cells)))

    assert chain.returned["grad_a"] == ("da",)
    assert "grad_z" in chain.returned
