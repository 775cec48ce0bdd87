"""Where a kernel has no file system of its own, all its files count together."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from grader.sandbox import Bounds, ForkServer
from grader.sandbox.scratch import Scratch

BOUNDS = Bounds(scratch_mib=8, file_size_mib=4)
MIB = 1 << 20

pytestmark = pytest.mark.skipif(not ForkServer.is_available(), reason="the sandbox needs Linux")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which there is a little already."""
    (tmp_path / "work").mkdir()
    fill(tmp_path / "work" / "data", 1)
    return tmp_path


def fill(path: Path, mib: int) -> None:
    path.write_bytes(os.urandom(mib * MIB))


def crowded(scratch: Scratch) -> Scratch:
    """The same, when something has used the disk since."""
    scratch._room = scratch._room[0] + (1 << 50), scratch._room[1]
    return scratch


def many_small_ones(folder: Path) -> None:
    for number in range(10):
        fill(folder / "work" / str(number), 1)


def in_deep_folders(folder: Path) -> None:
    place = folder.joinpath(*["d"] * 60)
    place.mkdir(parents=True)
    for number in range(10):
        fill(place / str(number), 1)


def without_names(folder: Path) -> list[BinaryIO]:
    files: list[BinaryIO] = []
    for number in range(3):
        path = folder / f"open{number}"
        fill(path, 4)
        files.append(path.open("rb"))
        path.unlink()
    return files


def mapped_without_names(folder: Path) -> list[mmap.mmap]:
    kept: list[mmap.mmap] = []
    for number in range(3):
        path = folder / f"mapped{number}"
        fill(path, 4)
        with path.open("r+b") as file:
            kept.append(mmap.mmap(file.fileno(), mmap.PAGESIZE))
        path.unlink()
    return kept


def deeper_than_a_path(folder: Path) -> None:
    before = Path.cwd()
    try:
        os.chdir(folder)
        for _ in range(50):
            os.mkdir("d" * 100)  # noqa: PTH102 - relative to a folder without a path
            os.chdir("d" * 100)
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    "write", [many_small_ones, in_deep_folders, without_names, mapped_without_names, deeper_than_a_path]
)
def test_all_files_count_together(folder: Path, write: Callable[[Path], list[Any] | None]) -> None:
    scratch = Scratch(folder, BOUNDS, lambda: [str(os.getpid())])
    assert not crowded(scratch).is_too_large()

    kept = write(folder)

    assert crowded(scratch).is_too_large()
    for each in kept or ():
        each.close()


def test_what_others_use_does_not_count(folder: Path) -> None:
    """Nor is it counted again each time."""
    scratch = Scratch(folder, BOUNDS, lambda: [str(os.getpid()), "2147483647"])
    fill(folder / "more", 6)
    assert not crowded(scratch).is_too_large()
    assert abs(scratch._room[0] - scratch._free()[0]) < 1 << 40

    assert not Scratch(folder / "gone", BOUNDS, list).is_too_large()
