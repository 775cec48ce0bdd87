"""What an exercise of any form must return is proven by autograd."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from grader.assignment.load import Assignment, load_assignment
from grader.errors import SolutionError, SourceError
from grader.model import Outcome
from grader.reference.cases import Case, build_cases

HEAD = """---
jupytext:
  cell_metadata_filter: grader,tags
  notebook_metadata_filter: grader
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
grader: {assignment: small, hidden_seed: 5, rows: 16}
---

```{code-cell} ipython3
:tags: [network]

import torch

SCALE = 3.0


def make_inputs(images, labels, generator):
    return {"x": torch.randn(len(images), 6, generator=generator)}


def init_parameters(generator):
    return {"w": torch.randn(6, 4, generator=generator), "b": torch.randn(4, generator=generator)}


def forward(x, w, b):
    z = x @ w + b
    mean = z.mean(0)
    c = z - mean
    h = torch.tanh(c)
    r = h.relu()
    top = r.amax(1)
    loss = (c * c * c).mean() + (h * SCALE).sum() / len(x) + top.mean()
    return {"z": z, "mean": mean, "c": c, "h": h, "r": r, "top": top, "loss": loss, "n": len(x)}
```

```{code-cell} ipython3
---
tags: [exercise]
grader:
  SETTINGS
---
def f(ARGUMENTS):
    \"\"\"The task.\"\"\"
    ### BEGIN SOLUTION
    BODY
    ### END SOLUTION
```
"""


def assignment_of(folder: Path, settings: str, arguments: str, body: str) -> Assignment:
    path = folder / "small.md"
    text = HEAD.replace("SETTINGS", settings.replace("\n", "\n  ")).replace("ARGUMENTS", arguments)
    path.write_text(text.replace("BODY", body.replace("\n", "\n    ")))
    return load_assignment(path)


def cases_of(folder: Path, settings: str, arguments: str, body: str) -> tuple[Case, ...]:
    return build_cases(assignment_of(folder, settings, arguments, body))["f"]


def test_a_gradient_may_be_a_part_that_a_later_step_completes(tmp_path: Path) -> None:
    """`c` reaches the loss by itself and through `h`: the function adds the second way."""
    cases = cases_of(
        tmp_path,
        "call: f(dh, dc, h) == dz\npartial: [c]",
        "dh, dc, h",
        "d = dc + dh * (1 - h * h)\nreturn d - d.mean(0)",
    )

    assert [case.name for case in cases] == ["mnist", "mnist_hidden", "vjp", "linear"]
    assert all(case.upstream == ("dh", "dc") for case in cases)


def test_without_partial_the_same_solution_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SolutionError, match="disagrees with autograd on mnist"):
        cases_of(
            tmp_path,
            "call: f(dh, dc, h) == dz",
            "dh, dc, h",
            "d = dc + dh * (1 - h * h)\nreturn d - d.mean(0)",
        )


def test_a_gradient_that_is_zero_is_accepted(tmp_path: Path) -> None:
    """That of a bias before a mean is taken off: terms that cancel are not compared with zero to the last digit."""
    cases = cases_of(tmp_path, "call: f(x, c, h, r, w) == (db, dw)", "x, c, h, r, w", _WHOLE)

    public = cases[0]
    assert float(public.expected[0].abs().max()) < 1e-12
    assert public.scales[0] > 1e-3
    assert public.compare(torch.full((4,), 1e-9), target=0, argument_dtype=torch.float32).outcome is Outcome.MATCH
    assert public.compare(torch.full((4,), 1e-3), target=0, argument_dtype=torch.float32).outcome is Outcome.MISMATCH


_WHOLE = """n = len(x)
first = torch.nn.functional.one_hot(r.argmax(1), 4) * (r > 0) / n
d = 3 * c * c / c.numel() + (1 - h * h) * (3.0 / n + first)
d = d - d.mean(0)
return d.sum(0), x.T @ d"""


def test_entries_that_do_not_count_are_not_compared(tmp_path: Path) -> None:
    """Where a maximum is one of several, whoever gets the gradient."""
    body = "return torch.where(r == 0, 123.0, (r == top[:, None]) * dtop[:, None])"
    settings = "call: f(dtop, r, top) == dr\nignore: {dr: r == 0}"

    case = cases_of(tmp_path, settings, "dtop, r, top", body)[0]

    assert case.ignored[0] is not None
    wrong = torch.where(case.ignored[0], case.expected[0], case.expected[0] + 1)
    assert case.compare(wrong, target=0, argument_dtype=torch.float32).outcome is Outcome.MISMATCH


def test_a_dimension_of_size_one_may_be_left_out(tmp_path: Path) -> None:
    case = cases_of(tmp_path, "call: f(z) == z.mean(0, keepdim=True)\nsqueezable: true", "z", "return z.mean(0)")[0]

    assert case.expected[0].shape == (1, 4)


@pytest.mark.parametrize(
    ("settings", "body", "says"),
    [
        ("call: f(z) == nothing", "return z", "`nothing` cannot be computed.*NameError"),
        ("call: f(z) == dnothing", "return z", "`call` names `dnothing`, .* since it has no `nothing`. Its names are"),
        ("call: f(zz) == dz", "return z", r"line 41\): `call` names `zz`, .* have. Did you mean z?"),
        ("call: f(z, dtopp) == dz", "return z", "`call` names `dtopp`, .* since it has no `topp`. Did you mean dtop?"),
        ("call: f(z) == z\nignore: {z: z.mean(0) > 0}", "return z", "has the shape .4,., but z has .16, 4."),
        ("call: f(z) == z\nignore: {z: z == z}", "return z", "`z == z` holds everywhere, so nothing of z would be"),
        ("call: f(z) == z\nignore: {z: q > 0}", "return z", "`q > 0` cannot be computed"),
    ],
)
def test_names_that_the_network_does_not_have_are_refused(tmp_path: Path, settings: str, body: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        cases_of(tmp_path, settings, "z", body)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("call: f(z) = dz", "`call` cannot be read: it is not Python"),
        ("call: f(z)", "`call` cannot be read: its last line has no `==`"),
        ("call: g(z) == dz", "`call` uses nothing that this cell defines"),
        ("call: f(z) == (dz, dw)\npoints: {dz: 1}", "says nothing about dw"),
        ("call: f(z) == (dz, dw)\npoints: {dz: 1, dww: 1}", "no part of the result. Did you mean dw"),
        (
            "call: f(z) == dz\nignore: {dq: z > 0}",
            "`ignore` names `dq`, which is no part of the result. Did you mean dz",
        ),
        ("call: f(z) == dz\nignore: {other: z > 0}", "`ignore` names `other`, .* result. There are dz.$"),
        ("call: f(z, dtop) == dz\npartial: [foo]", "`partial` names `foo`, of which it neither .* There are z, top.$"),
        ("call: f(z, dtop) == dz\npartial: [tpo]", "`partial` names `tpo`, .* Did you mean top"),
        ("call: f(z) == dz\npartial: [dz]", "`partial` names `dz`, .* Did you mean z"),
        ("cal: f(z) == dz", "Did you mean call"),
        ("call: f(z) == dz\nname: g", "defines no g"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, settings: str, says: str) -> None:
    """With the file, the cell and the line."""
    with pytest.raises(SourceError, match=rf"small\.md, cell 2, line \d+.*{says}"):
        assignment_of(tmp_path, settings, "z", "return z")


def test_the_solution_is_told_which_part_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SolutionError, match=r"returns no dz and z, but a torch\.Tensor"):
        cases_of(tmp_path, "call: f(z) == (dz, z)", "z", "return z")


@pytest.mark.parametrize(
    ("call", "body", "says"),
    [
        ("f(z) == (dz, z)", "return z, z, z", "The solution .* returns 3 values, but `call` names 2"),
        ("f(z) == (dz, z, r)", "return [z, z]", "The solution .* returns 2 values, but `call` names 3"),
        ("f(z) == {'z': z, 'R': r}", "return {'z': z, 'S': z}", r"The solution .* returns a dict without 'R'\."),
        ("f(z) == z", "return z, z", "The solution .* returns 2 values, but `call` names 1"),
        ("f(z) == z", "return None", r"The solution .* returns nothing\."),
        ("f(z) == z", "return z + 1", r"The solution .* disagrees with your forward pass on mnist\."),
        ("f(z) == (z, r)", "return z, z", "disagrees with your forward pass on mnist: its r is wrong"),
        ("f(z) == (z, dz)", "return z, z", "disagrees with autograd on mnist: its dz is wrong"),
        ("f() == z", "return z", r"The `call` of f .*line 41\) raised on mnist: TypeError: .* Give it what f takes"),
        ("f({'a': z}['b']) == z", "return z", "The `call` of f .* raised on mnist: KeyError: 'b'. .* Correct `call`"),
        ("f(z).zz == z", "return z", "The `call` of f .* raised on mnist: AttributeError: 'Tensor' .* Correct `call`"),
        ("f(z @ z) == z", "return z", "The `call` of f .* raised on mnist: RuntimeError"),
        ("f(z) == z", "return {}[0]", "The solution of f .* raised on mnist, in line .* KeyError.* Fix the solution"),
        ("f(z) == z", "return torch.ones(z)", "The solution of f .* raised on mnist, in line"),
        ("f(z) == z", "return z + weight", "NameError.* Weights that it reads as variables .* must be parameters"),
    ],
)
def test_it_is_said_whether_the_solution_or_the_call_is_wrong(tmp_path: Path, call: str, body: str, says: str) -> None:
    with pytest.raises(SolutionError, match=says):
        cases_of(tmp_path, f'call: "{call}"', "z", body)


@pytest.mark.parametrize(
    ("body", "is_named"),
    [
        ("return mean[None]", True),
        ("return mean[:, None]", True),
        ("return mean[:1]", False),
        ("return mean + 1", False),
    ],
)
def test_a_setting_that_accepts_the_shape_is_named(tmp_path: Path, body: str, is_named: bool) -> None:
    """It is the setting that makes the same solution right."""
    with pytest.raises(SolutionError) as caught:
        cases_of(tmp_path, 'call: "f(mean) == mean"', "mean", body)
    assert ("or set `squeezable: true`, which accepts" in caught.value.hint) is is_named
    if is_named:
        cases_of(tmp_path, 'call: "f(mean) == mean"\nsqueezable: true', "mean", body)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ("z", "a value of type Tensor, not a dict"),
        ('{"z": z}', "no `loss`, but z"),
        ('{"loss": 3.0}', "a `loss` of type float, not a tensor"),
    ],
)
def test_what_a_forward_pass_returns_is_named(tmp_path: Path, returned: str, says: str) -> None:
    path = tmp_path / "small.md"
    text = HEAD.replace("SETTINGS", "call: f(z) == dz").replace("ARGUMENTS", "z").replace("BODY", "return z")
    path.write_text(text.replace('    return {"z": z, "mean"', f'    return {returned}\n    return {{"z": z, "mean"'))

    with pytest.raises(SourceError, match=says):
        build_cases(load_assignment(path))
