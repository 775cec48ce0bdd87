"""The same notebook gets the same report, whatever else runs on the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.pipeline import grade
from grader.reports.json import report_to_dict
from grader.sandbox import ForkServer
from tests.conftest import ROOT, SOURCE, assignment_called, handed_in, raw_submission
from tests.warm import WarmGrader

ANSWERS = """# %%
import random
import numpy as np
import torch

factor = torch.randn(1).item() * random.random() * np.random.rand()
order = list({"a", "b", "c", "d", "e"})

class Odd:
    pass
# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) / yhat.shape[0] * factor
# %%
def grad_b2(dyhat):
    raise ValueError(f"{Odd()} {order} {hash('a')} {factor}")
# %%
def grad_b1(dz1):
    total = torch.zeros(1, dz1.shape[1], dtype=dz1.dtype)
    for row in range(len(dz1)):
        for column in range(dz1.shape[1]):  # slow, so that a busy machine matters
            total[0, column] += dz1[row, column]
    return total + torch.rand(1).item()
"""
HOSTILE = ("fork_bomb", "rich_output_flood", "memory_bomb_in_a_cell")
COPIES = 4


def _comparable(report: dict[str, Any]) -> dict[str, Any]:
    """The report without times and without the name that the file and the student have."""
    return {**report, "timing_s": None, "submission": report["submission"]["sha256"]}


@pytest.mark.slow
@pytest.mark.skipif(not ForkServer.is_available(), reason="kernels are forked on Linux only")
def test_a_class_with_hostile_neighbours_gets_the_marks_of_a_student_alone(
    tmp_path: Path, warm_grader: WarmGrader
) -> None:
    folder = tmp_path / "class"
    folder.mkdir()
    content = nbformat.writes(handed_in(ANSWERS)).encode()
    for number in range(COPIES):
        (folder / f"student{number}.ipynb").write_bytes(content)
    for number, name in enumerate(HOSTILE):  # each beside students, since the class is graded in this order
        answers = (ROOT / "tests" / "corpus" / "hostile" / name / "answers.py").read_text()
        (folder / f"student{number}-{name}.ipynb").write_text(nbformat.writes(handed_in(answers)))

    alone = _comparable(
        json.loads(json.dumps(report_to_dict(grade(raw_submission(content), assignment_called("two_layer_mse")))))
    )
    options = ["--solutions", SOURCE.parent, "-o", tmp_path / "out", "--jobs", 3]
    assert warm_grader.begin("batch", folder, *options).end() == 1

    reports = [json.loads((tmp_path / "out" / f"student{number}.json").read_text()) for number in range(COPIES)]
    assert [_comparable(report) for report in reports] == [alone] * COPIES
    assert {exercise["outcome"] for exercise in alone["exercises"]} >= {"match", "mismatch", "raised"}
