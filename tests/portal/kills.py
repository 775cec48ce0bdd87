"""
Kills a portal or its workers at random moments while students hand in, and looks whether anything was lost.

    python -m tests.portal.kills --times 20 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil

from tests.portal.server import Portal, form_secret, notebook, write_course

STUDENTS = 6
MISTAKES = ("", "def grad_w2(a1, dyhat):\n    return dyhat.T @ a1\n", "def grad_b1(dz1):\n    return dz1.sum()\n")
DEADLINE_S = 240


class Students:
    """They hand in all the time, each one other files, and remember what was acknowledged."""

    def __init__(self, portal: Portal) -> None:
        self.acknowledged: set[tuple[str, str]] = set()
        self._portal = portal
        self._stop = threading.Event()
        self._clients = {f"s{number}": portal.signed_in(f"s{number}") for number in range(STUDENTS)}
        self._threads = [threading.Thread(target=self._work, args=(name,)) for name in self._clients]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for client in self._clients.values():
            client.close()

    def _work(self, student: str) -> None:
        client, count = self._clients[student], 0
        while not self._stop.wait(0.5):
            count += 1
            content = notebook(MISTAKES[count % len(MISTAKES)], mark=f"{student} {count}")
            with contextlib.suppress(httpx.HTTPError):
                secret = form_secret(client)
                files = {"file": (f"{count}.ipynb", content)}
                path = "/assignments/two_layer_mse"
                answer = client.post(path, data={"form_secret": secret}, files=files, follow_redirects=False)
                if answer.status_code == 303:
                    self.acknowledged.add((student, f"{count}.ipynb"))


def run(folder: Path, *, times: int, seed: int, jobs: int = 2) -> int:
    """
    Kill `times` times, wait until the queue is empty, and examine the database.

    Returns:
        int: How many uploads were acknowledged; each of them has exactly one result.
    """
    dice = random.Random(seed)
    roster = "student\n" + "".join(f"s{number}\n" for number in range(STUDENTS))
    portal = Portal(write_course(folder, roster=roster), jobs=jobs)
    try:
        portal.wait_ready()
        students = Students(portal)
        students.start()
        for _ in range(times):
            time.sleep(dice.uniform(0.2, 3.0))
            workers = [child for child in psutil.Process(portal.process.pid).children() if child.is_running()]
            if workers and dice.random() < 0.5:
                with contextlib.suppress(psutil.Error):
                    dice.choice(workers).kill()
            else:
                portal.kill()
                portal.start(portal.port)
        students.stop()
        portal.wait_ready()
        wait_until_empty(folder / "gradebook.db")
    finally:
        portal.stop()
    examine(folder / "gradebook.db", students.acknowledged)
    return len(students.acknowledged)


def wait_until_empty(database: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    with contextlib.closing(sqlite3.connect(database)) as connection:
        while connection.execute("SELECT count(*) FROM portal_attempts WHERE state <> 'done'").fetchone()[0]:
            assert time.monotonic() < deadline, "the queue does not become empty"
            time.sleep(0.2)


def examine(database: Path, acknowledged: set[tuple[str, str]]) -> None:
    """Raises an AssertionError if an acknowledged upload has not exactly one result, or a result has no upload."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        attempts = connection.execute(
            "SELECT p.student, a.file, a.status, a.result, a.sha256 FROM portal_attempts a "
            "JOIN portal_people p ON p.id = a.person JOIN portal_uploads u ON u.attempt = a.id"
        ).fetchall()
        results = connection.execute("SELECT key, student, submission_sha256 FROM grader_results").fetchall()
    kept = [(student, file) for student, file, *_ in attempts]
    assert len(kept) == len(set(kept)), "something was handed in twice"
    assert acknowledged <= set(kept), f"lost: {acknowledged - set(kept)}"
    assert {status for _, _, status, _, _ in attempts} == {"graded"}, attempts
    by_key = {(student, digest, key) for key, student, digest in results}
    assert by_key == {(student, digest, result) for student, _, _, result, digest in attempts}


def main() -> None:
    """Run it, and say what was found."""
    parser = argparse.ArgumentParser(description="Kill a portal while students hand in.")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        number = run(Path(folder), times=options.times, seed=options.seed)
    print(f"{options.times} kills, {number} uploads acknowledged, each with one result.")  # noqa: T201


if __name__ == "__main__":
    main()
