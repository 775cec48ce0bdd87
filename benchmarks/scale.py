"""
Does a class of 1,000 take as long as ten of 100? Grades synthetic classes with `grader batch`, and watches.

    python benchmarks/scale.py --submissions 1000

The submissions are those of `tests/corpus` with which nothing is wrong but the mathematics, each handed in many times,
no two of them alike. A sample of them is graded by `nbgrader autograde` too, in the same run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nbformat
from classroom import ASSIGNMENT, Classroom, HandedIn
from nbformat import NotebookNode
from peers import Environment, Nbgrader

from grader.authoring.release import fill_blanks, release_notebook

CORPUS = Path(__file__).parent.parent / "tests" / "corpus" / ASSIGNMENT
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "grader-benchmarks"
LOOK_S = 0.05
TWO_JOBS_AT_LEAST = 1.8
NBGRADER_AT_LEAST = 20.0
MAY_GROW = 1.15
MEMORY_MAY_GROW_MIB = 16.0


class Look(NamedTuple):
    """At a running batch: seconds since it began, how many results are kept, MiB of its main process."""

    seconds: float
    done: int
    rss_mib: float


class Run(NamedTuple):
    """A finished batch."""

    size: int
    jobs: int
    seconds: float
    looks: list[Look]

    @property
    def first(self) -> float:
        """Seconds until there was a result: everything is warm then."""
        return self.at(1).seconds

    @property
    def each(self) -> float:
        """Seconds per submission, once it is warm."""
        last = self.looks[-1]
        return (last.seconds - self.first) / (last.done - self.at(1).done)

    def at(self, done: int) -> Look:
        """The first look with so many results."""
        return next(look for look in self.looks if look.done >= done)


def main() -> int:
    """Grade, print tables, and say what is not as it must be."""
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scale-", dir=options.work) as name:
        folder = Path(name)
        classroom = Classroom(folder / "sample")
        handed_in = list(_hand_in(classroom, options.submissions))
        sizes = sorted({min(size, options.submissions) for size in (10, 100, options.submissions)})
        runs = [_batch(handed_in[:size], folder, jobs=2) for size in sizes]
        alone = _batch(handed_in[: min(options.alone, options.submissions)], folder, jobs=1)
        seconds = (
            None if options.sample == 0 else _nbgrader(handed_in[: options.sample], classroom, folder, options.work)
        )
    _print_sizes([*runs, alone])
    large = runs[-1]
    _print_hundreds(large)
    faster = alone.each / large.each
    wrong = []
    print(f"\nTwo jobs: {faster:.2f} × the throughput of one.")
    if faster < TWO_JOBS_AT_LEAST:
        wrong.append(f"two jobs are less than {TWO_JOBS_AT_LEAST} × one")
    if seconds is not None:
        ratio = seconds / (large.seconds / large.size)
        print(f"nbgrader autograde: {seconds:.2f} s per submission; {ratio:.1f} × ours, start and reports included.")
        if ratio < NBGRADER_AT_LEAST:
            wrong.append(f"nbgrader's share is less than {NBGRADER_AT_LEAST:g} × ours")
    if large.each > runs[0].each * MAY_GROW:
        wrong.append("a submission of a large class costs more")
    grown = large.looks[-1].rss_mib - large.at(max(1, large.size // 10)).rss_mib
    if grown > MEMORY_MAY_GROW_MIB:
        wrong.append(f"the main process grew by {grown:.0f} MiB")
    print(f"Not as it must be: {'; '.join(wrong) or 'nothing'}.")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Grade classes of 10, 100 and more, and compare with nbgrader.")
    parser.add_argument("--submissions", type=int, default=1000, help="how many the largest class has [1000]")
    parser.add_argument("--alone", type=int, default=200, help="how many one job grades [200]")
    parser.add_argument("--sample", type=int, default=10, help="how many nbgrader grades; 0 for none [10]")
    parser.add_argument("--work", type=Path, default=CACHE, help=f"keeps nbgrader's environment [{CACHE}]")
    return parser.parse_args()


def _hand_in(classroom: Classroom, size: int) -> Iterator[HandedIn]:
    """Submissions from the corpus, in turn; each has a cell of its own, so that no two are alike."""
    released = release_notebook(classroom.source)
    solved = {exercise.name: exercise.code for exercise in classroom.source.exercises}
    kinds = []
    for case in sorted(CORPUS.iterdir()):
        if case.name.startswith(("ok_", "wrong_")) and (case / "answers.py").is_file():
            answers = (case / "answers.py").read_text(encoding="utf-8")
            left = "\n".join(f"# %%\n{text}" for name, text in solved.items() if name not in answers)
            kinds.append(fill_blanks(fill_blanks(released, answers), left))
    known = {cell.source for cell in released.cells}
    for number in range(size):
        notebook = nbformat.from_dict(kinds[number % len(kinds)])
        notebook.cells.append(nbformat.v4.new_code_cell(f"# handed in by student {number}", id="by"))
        path = classroom.folder / f"s{number:05d}.ipynb"
        nbformat.write(notebook, path)
        yield HandedIn(path.stem, path, _answers(notebook, known, solved))


def _answers(notebook: NotebookNode, known: set[str], solved: dict[str, str]) -> dict[str, str]:
    """What a student wrote, by exercise, with the helpers before it."""
    answers, helpers = dict[str, str](), list[str]()
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source not in known:
            helpers.append(cell.source)
            name = next((name for name in solved if f"{name}(" in cell.source or f"{name} =" in cell.source), None)
            if name is not None:
                answers[name], helpers = "\n\n".join(helpers), []
    return answers


def _batch(handed_in: list[HandedIn], folder: Path, *, jobs: int) -> Run:
    """Grade a class with `grader batch`, and look at it every now and then."""
    source, output = folder / "class", folder / "out"
    for each in (source, output):
        shutil.rmtree(each, ignore_errors=True)
    source.mkdir()
    for each in handed_in:
        shutil.copy(each.path, source)
    print(f"{len(handed_in)} submissions, --jobs {jobs} ...", file=sys.stderr, flush=True)
    command = [
        sys.executable,
        "-m",
        "grader",
        "batch",
        source,
        "-a",
        ASSIGNMENT,
        "-o",
        output,
        "--jobs",
        str(jobs),
        "-q",
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    looks = list[Look]()
    while process.poll() is None:
        done, memory = _count(output / "gradebook.db"), _rss_mib(process.pid)
        if memory and (not looks or done > looks[-1].done):
            looks.append(Look(time.perf_counter() - started, done, memory))
        time.sleep(LOOK_S)
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 1) or _count(output / "gradebook.db") != len(handed_in):
        raise RuntimeError(f"grader batch ended with {process.returncode}: not everybody was graded.")
    return Run(len(handed_in), jobs, seconds, looks)


def _count(database: Path) -> int:
    if not database.exists():
        return 0
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        found: int = connection.execute("SELECT count(*) FROM grader_results").fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        connection.close()
    return found


def _rss_mib(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0.0)


def _nbgrader(handed_in: list[HandedIn], classroom: Classroom, folder: Path, work: Path) -> float:
    """Seconds per submission of `nbgrader autograde` for all of them in one call."""
    peer = Nbgrader(classroom, folder, Environment("nbgrader", work))
    print(f"{len(handed_in)} submissions, nbgrader ...", file=sys.stderr, flush=True)
    graded = peer.grade(handed_in)
    if not any(each.score for each in graded):
        raise RuntimeError("nbgrader gave nobody a point.")
    return sum(each.seconds for each in graded) / len(graded)


def _print_sizes(runs: list[Run]) -> None:
    print("| submissions | jobs | seconds | until the first | each, once warm | main process, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for run in runs:
        most = max(look.rss_mib for look in run.looks)
        print(f"| {run.size} | {run.jobs} | {run.seconds:.1f} | {run.first:.1f} | {run.each:.3f} | {most:.0f} |")


def _print_hundreds(run: Run) -> None:
    step = max(1, run.size // 10)
    print(f"\n| of {run.size} | seconds each | main process, MiB |\n| ---: | ---: | ---: |")
    for begin, end in pairwise([1, *range(step, run.looks[-1].done + 1, step)]):
        before, after = run.at(begin), run.at(end)
        each = (after.seconds - before.seconds) / (after.done - before.done)
        print(f"| {begin}–{end} | {each:.3f} | {after.rss_mib:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
