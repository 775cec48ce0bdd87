"""Processes that open an empty gradebook at the same time."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

AT_ONCE = 6
OPEN = """
import sys
from grader.classroom.gradebook import Gradebook
print("ready", flush=True)
sys.stdin.readline()
Gradebook(sys.argv[1]).close()
"""


@pytest.mark.slow
def test_each_of_them_can_use_it(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", OPEN, str(tmp_path / "gradebook.db")],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(AT_ONCE)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=120)[1] for process in processes]

    assert [text for text in said if text] == []
