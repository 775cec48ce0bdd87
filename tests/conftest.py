"""What every test may use: the first assignment, and a way to grade what a student might hand in."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import nbformat
import pytest
from hypothesis import settings

from grader.assignment import Assignment, load_assignment
from grader.model import Submission

ROOT = Path(__file__).parent.parent

settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def assignment() -> Assignment:
    """`two_layer_mse`, with limits short enough for tests of endless loops."""
    loaded = load_assignment(ROOT / "solutions" / "two_layer_mse.md")
    return dataclasses.replace(
        loaded, limits=dataclasses.replace(loaded.limits, cell_s=4.0, notebook_s=20.0, call_s=3.0)
    )


def submission_of(*cells: str, name: str = "submission.ipynb", metadata: dict | None = None) -> Submission:
    """A submission with these code cells."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=metadata or {}
    )
    return raw_submission(nbformat.writes(notebook).encode(), name=name)


def raw_submission(content: bytes, *, name: str = "submission.ipynb") -> Submission:
    """A submission of any bytes."""
    return Submission(
        name=name, student=name.partition(".")[0], sha256=hashlib.sha256(content).hexdigest(), content=content
    )
