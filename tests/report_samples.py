"""
Sample reports, built from real digits and real functions without running a notebook.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch

from grader.compare import compare
from grader.model import (
    BatchView,
    CallError,
    CaseResult,
    Chain,
    Code,
    Curve,
    Diagnosis,
    ExerciseResult,
    Flag,
    NotebookSummary,
    Notice,
    Outcome,
    Report,
    Submission,
)
from grader.reference.mnist import load_mnist

ARGUMENTS = {
    "grad_yhat": ("yhat", "y"),
    "grad_w2": ("a1", "dyhat"),
    "grad_b2": ("dyhat",),
    "grad_a1": ("dyhat", "w2"),
    "grad_z1": ("da1", "z1"),
    "grad_w1": ("x", "dz1"),
    "grad_b1": ("dz1",),
}

RIGHT = {
    "grad_yhat": "    return 2 * (yhat - y) / len(y)",
    "grad_w2": "    return a1.T @ dyhat",
    "grad_b2": "    # every row adds to the same b2\n    return dyhat.sum(0, keepdim=True)",
    "grad_a1": "    return dyhat @ w2.T",
    "grad_z1": "    return da1 * (z1 > 0)",
    "grad_w1": "    return x.T @ dz1",
    "grad_b1": "    return dz1.sum(dim=0, keepdim=True)",
}

HOSTILE = "</code></pre><script>alert('\x1b[31mred\x1b[0m \u202egnp.exe')</script>"

MISSING_MASK = Diagnosis(
    id="missing_mask",
    message="Your grad_z1 passes da1 on for every entry, also where z1 is not positive.",
    hint="Take one unit whose z1 is −3. If z1 changes a little, how much does relu(z1) change?",
)
CONSTANT_FACTOR = Diagnosis(
    id="constant_factor",
    message="Every entry is 64 times the reference, and this batch has 64 rows.",
    hint="The loss is a mean. What does a mean do that a sum does not?",
)
TRANSPOSED = Diagnosis(
    id="transposed",
    message="Your gradient has the shape (50, 784); w1 has the shape (784, 50).",
    hint="Which shape must dw1 have, so that w1 - learning_rate * dw1 makes sense?",
)


@functools.cache
def _batch(rows: int, seed: int) -> dict[str, torch.Tensor]:
    """The network's tensors and the gradients of its loss by name, float32, detached."""
    images, labels = load_mnist()
    chosen = torch.from_numpy(np.random.RandomState(seed).permutation(len(images))[:rows])
    generator = torch.Generator().manual_seed(seed)
    leaves = {
        "x": images[chosen],
        "y": labels[chosen].float()[:, None],
        "w1": torch.randn(784, 50, generator=generator) / 28,
        "b1": torch.zeros(1, 50),
        "w2": torch.randn(50, 1, generator=generator) / 7,
        "b2": torch.zeros(1, 1),
    }
    values = {name: tensor.requires_grad_() for name, tensor in leaves.items()}
    values["z1"] = values["x"] @ values["w1"] + values["b1"]
    values["a1"] = values["z1"].relu()
    values["yhat"] = values["a1"] @ values["w2"] + values["b2"]
    loss = ((values["yhat"] - values["y"]) ** 2).mean()
    gradients = torch.autograd.grad(loss, list(values.values()))
    named = {f"d{name}": gradient for name, gradient in zip(values, gradients, strict=True)}
    return {name: tensor.detach() for name, tensor in {**values, **named}.items()}


def source_of(name: str, body: str) -> str:
    """The code of a function as a student would write it."""
    return f'def {name}({", ".join(ARGUMENTS[name])}):\n    """Gradient of the loss: `{name}`."""\n{body}'


def _function(source: str, name: str) -> Callable[..., torch.Tensor]:
    namespace: dict[str, object] = {"torch": torch}
    exec(source, namespace)
    return namespace[name]  # type: ignore[return-value]


def graded(name: str, body: str | None = None, **changes: object) -> ExerciseResult:
    """The result of one exercise, whose body is called on four batches. `changes` replace fields of the result."""
    source = source_of(name, body or RIGHT[name])
    function, target = _function(source, name), name.removeprefix("grad_")
    cases, views = [], ()
    for case, rows, seed in (("mnist", 64, 0), ("mnist_hidden", 48, 1), ("vjp", 17, 2), ("linear", 17, 3)):
        batch = _batch(rows, seed)
        got = function(*(batch[argument].clone() for argument in ARGUMENTS[name]))
        expected = batch[f"d{target}"]
        compared = compare(got, expected.double(), terms=792, argument_dtype=torch.float32)
        cases.append(
            CaseResult(
                name=case,
                public=case == "mnist",
                shape=tuple(got.shape),
                expected_shape=tuple(expected.shape),
                dtype=str(got.dtype).removeprefix("torch."),
                expected_dtype="float32",
                type="torch.Tensor",
                **{
                    field.name: getattr(compared, field.name)
                    for field in dataclasses.fields(compared)
                    if field.name != "has_float32_constants" and (case == "mnist" or field.name != "worst")
                },
            )
        )
        if case == "mnist":
            views = (BatchView(part=f"d{target}", got=got.float().numpy(), expected=expected.numpy()),)
    outcome = cases[0].outcome
    points = 2.0 if name in ("grad_w1", "grad_z1", "grad_yhat") else 1.0
    result = ExerciseResult(
        name=name,
        outcome=outcome,
        points=points if outcome.passed else 0.0,
        max_points=points,
        message=f"{name} is right." if outcome.passed else f"{name} has the right shape, but its values are wrong.",
        cases=tuple(cases),
        upstream=tuple(argument for argument in ARGUMENTS[name] if argument.startswith("d")),
        code=Code(text=source, cell=12 + list(ARGUMENTS).index(name), line=1),
        question=f"Return dL/d{target}, with the shape of `{target}`.\n\nGiven: {', '.join(ARGUMENTS[name])}.",
        views=views,
    )
    return dataclasses.replace(result, **changes)


def without_views(name: str, outcome: Outcome, message: str, **changes: object) -> ExerciseResult:
    """The result of one exercise that returned no gradient. `changes` replace fields of the result."""
    cases = (
        ()
        if outcome in (Outcome.BLANK, Outcome.MISSING)
        else (
            CaseResult(name="mnist", public=True, outcome=outcome),
            CaseResult(name="mnist_hidden", public=False, outcome=outcome),
        )
    )
    blank = Code(text=source_of(name, f'    raise NotImplementedError("{name}")'), cell=12, line=1)
    result = graded(name, outcome=outcome, points=0.0, message=message, views=(), cases=cases, code=blank)
    return dataclasses.replace(result, **changes)


@functools.cache
def training(**bodies: str) -> Curve:
    """The losses of 30 steps with all gradients right, and with these bodies in place of some functions."""

    def losses(functions: dict[str, Callable[..., torch.Tensor]]) -> Iterator[float]:
        batch = dict(_batch(64, 0))
        for _ in range(31):
            batch["z1"] = batch["x"] @ batch["w1"] + batch["b1"]
            batch["a1"] = batch["z1"].relu()
            batch["yhat"] = batch["a1"] @ batch["w2"] + batch["b2"]
            yield float(((batch["yhat"] - batch["y"]) ** 2).mean())
            for name, function in functions.items():
                batch["d" + name.removeprefix("grad_")] = function(*(batch[argument] for argument in ARGUMENTS[name]))
            for name in ("w1", "b1", "w2", "b2"):
                batch[name] = batch[name] - 0.01 * batch[f"d{name}"]

    def functions_with(changed: dict[str, str]) -> dict[str, Callable[..., torch.Tensor]]:
        return {name: _function(source_of(name, {**RIGHT, **changed}[name]), name) for name in ARGUMENTS}

    return Curve(reference=tuple(losses(functions_with({}))), student=tuple(losses(functions_with(bodies))))


def report(*exercises: ExerciseResult, **changes: object) -> Report:
    """A report on these exercises. `changes` replace fields of the report."""
    result = Report(
        assignment_id="two_layer_mse",
        assignment_title="Back-propagation through a two-layer network",
        assignment_version="sha256:4c1d0b7e",
        submission=Submission(name="backprop.ipynb", student="backprop", sha256="9f" * 32, content=b""),
        exercises=exercises,
        notebook=NotebookSummary(cells=30, executed=30),
        sandbox_layers=("separate process", "user namespace", "no network", "seccomp", "memory limit"),
        seconds=0.31,
    )
    return dataclasses.replace(result, **changes)


def _links(exercises: tuple[ExerciseResult, ...], **within: Outcome) -> dict[str, Outcome]:
    return {result.name: within.get(result.name, result.outcome) for result in exercises}


def perfect() -> Report:
    exercises = tuple(graded(name) for name in ARGUMENTS)
    return report(*exercises, chain=Chain(links=_links(exercises), training=training()))


def missing_mask() -> Report:
    wrong = {"grad_z1": "    return da1"}
    exercises = tuple(
        graded(name, wrong.get(name), diagnoses=(MISSING_MASK,) if name in wrong else ()) for name in ARGUMENTS
    )
    links = _links(exercises, grad_w1=Outcome.MISMATCH, grad_b1=Outcome.MISMATCH)
    return report(*exercises, chain=Chain(links=links, training=training(**wrong)))


def mixed() -> Report:
    """One result of nearly every kind that occurs in a class, and a hostile exception."""
    exercises = (
        graded("grad_yhat", "    return 2 * (yhat - y)", diagnoses=(CONSTANT_FACTOR,)),
        graded(
            "grad_w2", notices=(Notice(id="defined_twice", message="grad_w2 is defined twice: the last one counts."),)
        ),
        without_views("grad_b2", Outcome.BLANK, "grad_b2 is still blank."),
        without_views(
            "grad_a1",
            Outcome.RAISED,
            f"grad_a1 raised ValueError: {HOSTILE}.",
            code=Code(text=source_of("grad_a1", f"    raise ValueError({HOSTILE!r})"), cell=15, line=1),
            error=CallError(
                type="ValueError",
                message=HOSTILE,
                traceback=f"In [15], line 3, in grad_a1\n    raise ValueError({HOSTILE!r})\nValueError: {HOSTILE}",
                cell=15,
                line=3,
            ),
        ),
        graded("grad_z1", "    return da1", diagnoses=(MISSING_MASK,)),
        graded(
            "grad_w1",
            "    return dz1.T @ x",
            diagnoses=(TRANSPOSED,),
            message="grad_w1 returned the shape (50, 784); w1 has the shape (784, 50).",
        ),
        without_views(
            "grad_b1",
            Outcome.TIMED_OUT,
            "grad_b1 did not return in time. Does it loop forever?",
            code=Code(text=source_of("grad_b1", "    while True:\n        dz1 = dz1 + 0"), cell=18, line=1),
        ),
    )
    links = _links(exercises, grad_w2=Outcome.MISMATCH)
    curve = training(grad_yhat="    return 2 * (yhat - y)", grad_z1="    return da1")
    return report(
        *exercises,
        chain=Chain(links=links, training=curve),
        notebook=NotebookSummary(
            cells=30, executed=28, first_error="In [21]: NotImplementedError: grad_b2 is still blank"
        ),
        notes=("The notebook was made for another version of the assignment; it was graded by this one.",),
    )


def odd() -> Report:
    """Results with rare outcomes."""
    autograd = "grad_w2 calls torch.autograd.grad (In [13], line 3)"
    exercises = (
        graded("grad_yhat", "    return (yhat - y[:, 0]) * 2 / len(y)", message="grad_yhat returned (64, 64)."),
        graded("grad_w2", outcome=Outcome.FORBIDDEN, points=0.0, message=f"{autograd}: derive this one by hand."),
        graded("grad_b2", "    return dyhat.sum(0, keepdim=True).half()", message="grad_b2 returned float16 numbers."),
        graded("grad_a1", "    return (dyhat @ w2.T) / (w2.T > 0)", message="grad_a1 returned nan or inf."),
        without_views("grad_z1", Outcome.GRADER_ERROR, "The reference could not be computed."),
        graded("grad_w1", "    g = x.T @ dz1\n    g[:, 7] = 0\n    g[:, 31] *= -1\n    return g"),
        without_views("grad_b1", Outcome.MISSING, "There is no function grad_b1 in the notebook.", code=None),
    )
    return report(*exercises, flags=(Flag(id="autograd", exercise="grad_w2", evidence=autograd),))


def blank() -> Report:
    return report(*(without_views(name, Outcome.BLANK, f"{name} is still blank.") for name in ARGUMENTS))


def unreadable() -> Report:
    problem = "backprop.ipynb is cut off: its JSON ends in the middle of a cell."
    return report(notebook=NotebookSummary(cells=0, executed=0, problem=problem))


SAMPLES: dict[str, Callable[[], Report]] = {
    "perfect": perfect,
    "missing_mask": missing_mask,
    "mixed": mixed,
    "odd": odd,
    "blank": blank,
    "unreadable": unreadable,
}
