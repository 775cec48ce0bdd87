"""
Does a class of 1,000 take as long as ten classes of 100? Grades synthetic classes with `grader batch`, and measures.

    python benchmarks/scale.py --submissions 1000

The submissions are those of `tests/corpus` in which only the mathematics may be wrong. Each is handed in many times,
with a different comment each time. In the same run, `nbgrader autograde` grades a sample of them.
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
from classroom import ASSIGNMENT, Classroom, HandedIn, filled
from nbformat import NotebookNode
from peers import Environment, Nbgrader

from grader.authoring.release import release_notebook

CORPUS = Path(__file__).parent.parent / "tests" / "corpus" / ASSIGNMENT
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "grader-benchmarks"
POLL_S = 0.05
TWO_JOBS_AT_LEAST = 1.8
NBGRADER_AT_LEAST = 20.0
MAY_GROW = 1.15
MEMORY_MAY_GROW_MIB = 16.0


class Sample(NamedTuple):
    """The state of a running batch: seconds since its start, number of results kept, memory of its main process."""

    seconds: float
    done: int
    rss_mib: float


class Run(NamedTuple):
    """A finished batch."""

    size: int
    jobs: int
    seconds: float
    samples: list[Sample]

    @property
    def first(self) -> float:
        """Seconds until the first result, when everything is warm."""
        return self.at(1).seconds

    @property
    def each(self) -> float:
        """Seconds per submission, once everything is warm."""
        last = self.samples[-1]
        return (last.seconds - self.first) / (last.done - self.at(1).done)

    def at(self, done: int) -> Sample:
        """The first sample with this many results."""
        return next(sample for sample in self.samples if sample.done >= done)


def main() -> int:
    """Grade, print tables, and say which limits are exceeded. Returns 1 if any is, else 0."""
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
    exceeded = []
    print(f"\nTwo jobs: {faster:.2f} × the throughput of one.")
    if faster < TWO_JOBS_AT_LEAST:
        exceeded.append(f"two jobs have less than {TWO_JOBS_AT_LEAST} × the throughput of one")
    if seconds is not None:
        ratio = seconds / (large.seconds / large.size)
        print(f"nbgrader autograde: {seconds:.2f} s per submission; {ratio:.1f} × this grader, with start and reports.")
        if ratio < NBGRADER_AT_LEAST:
            exceeded.append(f"nbgrader takes less than {NBGRADER_AT_LEAST:g} × as long")
    if large.each > runs[0].each * MAY_GROW:
        exceeded.append("a submission takes longer in a large class")
    grown = large.samples[-1].rss_mib - large.at(max(1, large.size // 10)).rss_mib
    if grown > MEMORY_MAY_GROW_MIB:
        exceeded.append(f"the main process grew by {grown:.0f} MiB")
    print(f"Limits exceeded: {'; '.join(exceeded) or 'none'}.")
    return 1 if exceeded else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Grade classes of 10, 100 and more, and compare with nbgrader.")
    parser.add_argument("--submissions", type=int, default=1000, help="size of the largest class [1000]")
    parser.add_argument("--alone", type=int, default=200, help="how many submissions one job grades [200]")
    parser.add_argument("--sample", type=int, default=10, help="how many submissions nbgrader grades; 0 for none [10]")
    parser.add_argument("--work", type=Path, default=CACHE, help=f"keeps nbgrader's environment [{CACHE}]")
    return parser.parse_args()


def _hand_in(classroom: Classroom, size: int) -> Iterator[HandedIn]:
    """Submissions of the corpus, in turn, each with another comment, so that no two are equal."""
    released = release_notebook(classroom.source)
    solved = {exercise.name: exercise.code for exercise in classroom.source.exercises}
    kinds = [
        filled(released, (case / "answers.py").read_text(encoding="utf-8"), solved)
        for case in sorted(CORPUS.iterdir())
        if case.name.startswith(("ok_", "wrong_")) and (case / "answers.py").is_file()
    ]
    known = {cell.source for cell in released.cells}
    for number in range(size):
        notebook = nbformat.from_dict(kinds[number % len(kinds)])
        notebook.cells.append(nbformat.v4.new_code_cell(f"# handed in by student {number}", id="by"))
        path = classroom.folder / f"s{number:05d}.ipynb"
        nbformat.write(notebook, path)
        yield HandedIn(path.stem, path, _answers(notebook, known, solved))


def _answers(notebook: NotebookNode, known: set[str], solved: dict[str, str]) -> dict[str, str]:
    """The code that a student wrote, by exercise, with the helpers before it."""
    answers, helpers = dict[str, str](), list[str]()
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source not in known:
            helpers.append(cell.source)
            name = next((name for name in solved if f"{name}(" in cell.source or f"{name} =" in cell.source), None)
            if name is not None:
                answers[name], helpers = "\n\n".join(helpers), []
    return answers


def _batch(handed_in: list[HandedIn], folder: Path, *, jobs: int) -> Run:
    """Grade a class with `grader batch`, and take samples meanwhile."""
    source, output = folder / "class", folder / "out"
    for old in (source, output):
        shutil.rmtree(old, ignore_errors=True)
    source.mkdir()
    for submission in handed_in:
        shutil.copy(submission.path, source)
    print(f"{len(handed_in)} submissions, --jobs {jobs} ...", file=sys.stderr, flush=True)
    command = [
        sys.executable,
        "-m",
        "grader",
        "batch",
        str(source),
        "-a",
        ASSIGNMENT,
        "-o",
        str(output),
        "--jobs",
        str(jobs),
        "-q",
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    samples = list[Sample]()
    while process.poll() is None:
        done, memory = _count(output / "gradebook.db"), _rss_mib(process.pid)
        if memory and (not samples or done > samples[-1].done):
            samples.append(Sample(time.perf_counter() - started, done, memory))
        time.sleep(POLL_S)
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 1) or _count(output / "gradebook.db") != len(handed_in):
        raise RuntimeError(f"grader batch ended with {process.returncode}, and did not grade everybody.")
    return Run(len(handed_in), jobs, seconds, samples)


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
    """Seconds per submission of `nbgrader autograde`, for all of them in one call."""
    peer = Nbgrader(classroom, folder, Environment("nbgrader", work))
    print(f"{len(handed_in)} submissions, nbgrader ...", file=sys.stderr, flush=True)
    graded = peer.grade(handed_in)
    if not any(result.score for result in graded):
        raise RuntimeError("nbgrader gave no points to anybody.")
    return sum(result.seconds for result in graded) / len(graded)


def _print_sizes(runs: list[Run]) -> None:
    print("| submissions | jobs | seconds | until the first | each, once warm | main process, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for run in runs:
        most = max(sample.rss_mib for sample in run.samples)
        print(f"| {run.size} | {run.jobs} | {run.seconds:.1f} | {run.first:.1f} | {run.each:.3f} | {most:.0f} |")


def _print_hundreds(run: Run) -> None:
    step = max(1, run.size // 10)
    print(f"\n| of {run.size} | seconds each | main process, MiB |\n| ---: | ---: | ---: |")
    for begin, end in pairwise([1, *range(step, run.samples[-1].done + 1, step)]):
        before, after = run.at(begin), run.at(end)
        if after.done == before.done:  # both were counted at the same moment
            continue
        seconds = (after.seconds - before.seconds) / (after.done - before.done)
        print(f"| {begin}–{end} | {seconds:.3f} | {after.rss_mib:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
