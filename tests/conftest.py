"""Assignments and submissions for all tests."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from hypothesis import settings
from nbformat import NotebookNode

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import SourceNotebook, read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.model import Report, Submission
from grader.reference import mnist
from tests.warm import WarmGrader

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "solutions"
SOURCE = SOURCES / "two_layer_mse.md"

settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("suite")

# Two processes run the tests. For tensors as small as these, threads of torch spend most of their time on waiting for
# each other, above all when there are more of them than cores.
torch.set_num_threads(1)


LONGEST_NAME = 200

SLOW = (
    "courses/test_courses.py",
    "reports/test_secrets.py",
    "test_precision.py",
    "sandbox/test_features.py",
    "notebook/test_growth.py",
    "classroom/test_cluster.py",
    "portal/test_platforms.py",
    "portal/lti/test_openedx.py",
    "classroom/test_kills.py",
    "portal/test_kills.py",
    "sandbox/test_conformance.py",
    "classroom/test_hostile_class.py",
    "fuzz/test_fuzz.py",
    "checking/test_environments.py",
    "browser/test_jupyterlab.py",
    "browser/test_portal.py",
)
"""The files whose tests `make test` leaves to `make test-slow`, the longest first."""

LONGEST = (
    "test_corpus.py",
    "test_hostile.py",
    "test_front.py",
    "classroom/test_batch.py",
    "ci/test_gradescope.py",
    "ci/test_github.py",
    "ci/test_classroom50.py",
    "authoring/test_validate.py",
    "classroom/test_rescoring.py",
    "test_pipeline.py",
)
"""Of the other files, those that take longest. They run first, so that both processes end at about the same time."""


def pytest_make_parametrize_id(val: object) -> str | None:
    """A short name for a parameter that is long: each process that runs tests keeps all names, some of them twice."""
    if isinstance(val, (str, bytes)) and len(val) > LONGEST_NAME:
        return f"{val[:20]!r} and {len(val) - 20:,} more"
    return None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a file in one process, so that they share what is cached, unless they are marked otherwise."""
    ranks = {ROOT / "tests" / name: rank for rank, name in enumerate((*SLOW, *LONGEST))}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
    for item in items:
        if ranks.get(item.path, len(ranks)) < len(SLOW):
            item.add_marker(pytest.mark.slow)
        if item.path.is_relative_to(ROOT) and item.get_closest_marker("xdist_group") is None:
            is_warm = "warm_grader" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("warm" if is_warm else str(item.path.relative_to(ROOT))))


@pytest.fixture(scope="module")
def shared_images() -> Iterator[None]:
    """Notebooks in this process share their images, which none of them changes."""
    images, labels = mnist.load_mnist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load_mnist", lambda: (images.detach(), labels.detach()))
        yield


@pytest.fixture(scope="session")
def warm_grader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmGrader]:
    """Runs commands that start at once."""
    with contextlib.closing(WarmGrader(tmp_path_factory.mktemp("warm"))) as warm:
        yield warm


@pytest.fixture(scope="session")
def graded_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A portal that grades. Its first attempt waits for a worker to start."""
    from tests.served_portal import served_portal  # few tests need the packages of a portal

    with served_portal(tmp_path_factory.mktemp("portal") / "course") as served:
        yield served


@pytest.fixture(scope="session")
def assignment() -> Assignment:
    """`two_layer_mse`, with limits short enough for tests of endless loops."""
    return assignment_called("two_layer_mse")


@functools.cache
def assignment_called(assignment_id: str) -> Assignment:
    """An assignment, with limits short enough for tests of endless loops. Every call returns the same one."""
    loaded = load_assignment(SOURCES / f"{assignment_id}.md")
    return dataclasses.replace(
        loaded,
        limits=dataclasses.replace(loaded.limits, cell_s=5.0, notebook_s=40.0, call_s=5.0, memory_mib=1024),
    )


def submission_of(*cells: str, name: str = "submission.ipynb", metadata: dict | None = None) -> Submission:
    """A submission with these code cells."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=metadata or {}
    )
    return raw_submission(nbformat.writes(notebook).encode(), name=name)


def check_flags(report: Report, expect: dict[str, Any]) -> None:
    """Of the exercises under `[flags]`, exactly the texts there are among the flags of what is unusual in a call."""
    for name, texts in expect.get("flags", {}).items():
        found = [flag.evidence for flag in report.flags if flag.exercise == name and flag.id == "unusual"]
        assert len(found) == len(texts), (name, found)
        assert all(any(text in evidence for evidence in found) for text in texts), (name, found)


def handed_in(answers: str, *, base: str = "solution", assignment_id: str = "two_layer_mse") -> NotebookNode:
    """The released notebook with these answers. Other exercises are solved if `base` is `solution`, or else blank."""
    source = source_called(assignment_id)
    notebook = fill_blanks(release_notebook(source), answers)
    if base == "solution":
        for exercise in source.exercises:
            defined = rf"^\s*((async )?def {exercise.name}\b|{exercise.name} =|# %% delete: {exercise.name}$)"
            if not re.search(defined, answers, re.MULTILINE):
                notebook = fill_blanks(notebook, exercise.code)
    return notebook


@functools.cache
def source_called(assignment_id: str) -> SourceNotebook:
    """The source notebook of an assignment."""
    return read_source(SOURCES / f"{assignment_id}.md")


def raw_submission(content: bytes, *, name: str = "submission.ipynb") -> Submission:
    """A submission with these bytes."""
    return Submission(
        name=name, student=name.partition(".")[0], sha256=hashlib.sha256(content).hexdigest(), content=content
    )
