"""`grader batch` is killed at random moments, twenty times."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

from tests.conftest import SOURCE
from tests.warm import Running, WarmGrader

KILLS = 20
SIZE = 60


def begin(warm: WarmGrader, folder: Path, output: Path) -> Running:
    options = ["-a", "two_layer_mse", "--solutions", SOURCE.parent, "-o", output, "--jobs", 2, "-q"]
    return warm.begin("batch", folder, *options, environment=os.environ | {"GRADER_TEST_NO_FORKS": "1"})


def rows_of(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """The rows of a gradebook without their times. Fails if the file is locked or damaged."""
    tables = {}
    with contextlib.closing(sqlite3.connect(database, timeout=0)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if not row[1].endswith("_at")]
            tables[table] = sorted(connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall())
    return tables


def results_of(database: Path) -> int:
    if not database.exists():
        return 0
    with contextlib.closing(sqlite3.connect(database)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'grader_results'").fetchone():
            return 0
        found: int = connection.execute("SELECT count(*) FROM grader_results").fetchone()[0]
        return found


def files_of(output: Path) -> dict[str, bytes]:
    """The files that were written, without partial files of a killed process, which are removed when they are old."""
    names = (
        path for path in output.iterdir() if not path.name.startswith("gradebook.db") and path.suffix != ".partial"
    )
    return {path.name: path.read_bytes() for path in names}


def test_killed_twenty_times(warm_grader: WarmGrader, tmp_path: Path) -> None:
    """
    The gradebook and the files equal those of an undisturbed run, byte for byte, and no saved result is ever lost.

    The files are not notebooks, so that grading takes milliseconds and most kills happen while results are written;
    `test_batch.py` kills `grader batch` while it executes notebooks.
    """
    folder, output, calm = tmp_path / "class", tmp_path / "out", tmp_path / "calm"
    folder.mkdir()
    for number in range(SIZE):
        (folder / f"s{1001 + number}.ipynb").write_text(f"No notebook, but number {number}.")
    database = output / "gradebook.db"
    chance = random.Random(5)
    kept, partial = dict[str, list[tuple[object, ...]]](), 0
    for number in range(KILLS):
        if results_of(database) == SIZE:  # then nothing is written any more
            output, kept = tmp_path / f"out{number}", {}
            database = output / "gradebook.db"
        before = results_of(database)
        wanted, delay = before + chance.randrange(4), chance.random() * 0.05
        running = begin(warm_grader, folder, output)
        deadline = time.monotonic() + 30
        while results_of(database) < min(wanted, SIZE) and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
        assert running.end() in (None, 2)
        if database.exists():
            now = rows_of(database)
            assert all(set(rows) <= set(now[table]) for table, rows in kept.items())
            kept = now
            partial += 0 < results_of(database) < SIZE
        for path in output.glob("s*.json"):
            json.loads(path.read_text())
    assert partial > KILLS // 3

    for each in (output, calm):
        assert begin(warm_grader, folder, each).end() == 2

    assert rows_of(database) == rows_of(calm / "gradebook.db")
    assert files_of(output) == files_of(calm)
    assert len(rows_of(database)["grader_results"]) == SIZE
