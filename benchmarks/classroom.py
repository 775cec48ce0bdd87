"""
The class that is graded: right submissions, each written a little differently, and one with a mistake.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grader import shipped
from grader.assignment.cells import ExerciseCell
from grader.assignment.find import find_assignment
from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import SourceNotebook, read_source
from grader.authoring.release import fill_blanks, release_notebook

__all__ = ["ASSIGNMENT", "REFERENCE", "Classroom", "HandedIn", "filled"]

ASSIGNMENT = "two_layer_mse"
RIGHT = {
    "grad_yhat": ("2 * (yhat - y) / yhat.shape[0]", "(yhat - y) * (2 / len(y))", "(yhat - y).mul(2).div(y.numel())"),
    "grad_w2": ("a1.T @ dyhat", "a1.t().mm(dyhat)", 'torch.einsum("nj,nk->jk", a1, dyhat)'),
    "grad_b2": ("dyhat.sum(dim=0, keepdim=True)", "dyhat.sum(0)[None]", "dyhat.sum().reshape(1, 1)"),
    "grad_a1": ("dyhat @ w2.T", "dyhat * w2.squeeze(1)", 'torch.einsum("nk,jk->nj", dyhat, w2)'),
    "grad_z1": ("da1 * (z1 > 0)", "torch.where(z1 > 0, da1, torch.zeros_like(da1))", "da1.masked_fill(z1 <= 0, 0)"),
    "grad_w1": ("x.T @ dz1", "x.t().mm(dz1)", 'torch.einsum("ni,nj->ij", x, dz1)'),
    "grad_b1": ("dz1.sum(dim=0, keepdim=True)", "dz1.sum(0)[None]", "dz1.sum(0).unsqueeze(0)"),
}
WRONG = {"grad_z1": "da1"}  # without the ReLU's mask

REFERENCE = """
def reference(init_parameters, forward):
    generator = torch.Generator().manual_seed(2026)
    x = torch.rand(32, 784, generator=generator)
    y = torch.randint(10, (32, 1), generator=generator).float()
    leaves = {"x": x, "y": y, **init_parameters(generator)}
    for leaf in leaves.values():
        leaf.requires_grad_()
    values = {**leaves, **forward(**leaves)}
    loss = values.pop("loss")
    gradients = torch.autograd.grad(loss, list(values.values()))
    known = {name: value.detach() for name, value in values.items()}
    return known | {f"d{name}": gradient for name, gradient in zip(values, gradients)}
"""
"""The start of an instructor's tests: autograd's gradients on a fixed batch."""


def filled(released: NotebookNode, answers: str, solved: Mapping[str, str]) -> NotebookNode:
    """
    A notebook with a student's answers in it. The solution fills in what they leave out.

    Args:
        released: The notebook with blanks.
        answers: Cells, divided by lines that begin with `# %%`.
        solved: The solution's code by exercise.
    """
    missing = [f"# %%\n{code}" for name, code in solved.items() if not re.search(rf"\b{name}\b", answers)]
    return fill_blanks(fill_blanks(released, answers), "\n".join(missing))


@dataclasses.dataclass(frozen=True, slots=True)
class HandedIn:
    """One submission: the notebook as a file, and the code of each answer."""

    name: str
    path: Path
    answers: dict[str, str]


class Classroom:
    """
    One assignment, and the submissions to it.

    Args:
        folder: The submissions are written here.
    """

    def __init__(self, folder: Path) -> None:
        path = find_assignment(ASSIGNMENT, shipped.solutions())
        self.assignment: Assignment = load_assignment(path)
        self.source: SourceNotebook = read_source(path)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def points(self) -> float:
        """Full marks."""
        return sum(exercise.points for exercise in self.source.exercises)

    def right(self, number: int) -> HandedIn:
        """A submission that deserves full marks, different for each number."""
        return self._hand_in(
            f"student-{number:03d}",
            {name: styles[(number + place) % len(styles)] for place, (name, styles) in enumerate(RIGHT.items())},
        )

    def wrong(self) -> HandedIn:
        """A submission with one mistake."""
        return self._hand_in("wrong", {name: styles[0] for name, styles in RIGHT.items()} | WRONG)

    def test_of(self, exercise: ExerciseCell) -> str:
        """The body of an instructor's test: it compares the gradient of an exercise with autograd's."""
        arguments = ", ".join(f'known["{name}"].clone()' for name in exercise.arguments)
        (target,) = exercise.targets
        return (
            "known = reference(init_parameters, forward)\n"
            f"got = {exercise.name}({arguments})\n"
            f'torch.testing.assert_close(got, known["d{target}"], rtol=1e-4, atol=1e-4)\n'
        )

    def _hand_in(self, name: str, expressions: dict[str, str]) -> HandedIn:
        answers = {
            exercise.name: f"def {exercise.name}({', '.join(exercise.arguments)}):\n"
            + textwrap.indent(f"# derived by {name}\nreturn {expressions[exercise.name]}\n", "    ")
            for exercise in self.source.exercises
        }
        notebook: NotebookNode = fill_blanks(
            release_notebook(self.source), "\n".join(f"# %%\n{text}" for text in answers.values())
        )
        path = self.folder / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return HandedIn(name, path, answers)
