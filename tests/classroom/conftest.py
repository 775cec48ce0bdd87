"""Notebooks of a class."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from tests.conftest import handed_in

ANSWERS = {
    "full": "",
    "mask": "def grad_z1(da1, z1):\n    return da1.clone()\n",
    "sign": "def grad_yhat(yhat, y):\n    return -2 * (yhat - y) / len(y)\n",
    "raises": "def grad_b1(dz1):\n    raise ValueError('=cmd')\n",
}


@contextlib.contextmanager
def one_thread_here(jobs: int) -> Iterator[Executor]:
    """A thread instead of worker processes, which take seconds to start."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes are graded in this process, where the forkserver is warm."""
    monkeypatch.setattr("grader.classroom.workers.local_workers", one_thread_here)


@pytest.fixture(scope="session")
def notebook_of() -> Callable[[str], bytes]:
    """Returns the bytes of a notebook with the named answers."""
    made: dict[str, bytes] = {}

    def make(kind: str) -> bytes:
        if kind not in made:
            made[kind] = nbformat.writes(handed_in(ANSWERS[kind])).encode()
        return made[kind]

    return make


@pytest.fixture
def folder(tmp_path: Path, notebook_of: Callable[[str], bytes]) -> Path:
    """A folder with the notebooks of a class of four."""
    directory = tmp_path / "class"
    directory.mkdir()
    for number, kind in enumerate(ANSWERS, start=1001):
        (directory / f"s{number}.ipynb").write_bytes(notebook_of(kind))
    return directory
