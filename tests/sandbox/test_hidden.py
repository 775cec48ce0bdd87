"""What a supervisor reads about a submission's processes takes it no memory, whatever they do."""

from __future__ import annotations

import ctypes
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from grader.sandbox.hidden import hidden_mib

PAGE = 4096


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_many_mappings_with_long_paths_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(12):
        Path("x" * 250).mkdir()
        os.chdir("x" * 250)
    file = os.open("mapped", os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, PAGE)
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    # Neighbours with other rights are not one mapping.
    mappings = [library.mmap(None, PAGE, (1, 3)[number % 2], 1, file, 0) for number in range(6_000)]
    before = hidden_mib(["self"])
    try:
        shown = len(Path("/proc/self/maps").read_bytes())
        tracemalloc.start()
        after = hidden_mib(["self"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        for mapping in mappings:
            library.munmap(mapping, PAGE)
        os.close(file)

    assert shown > 16 << 20
    assert peak < 2 << 20
    assert after == before
