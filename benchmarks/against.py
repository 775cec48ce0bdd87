"""
Is this tree as fast as an older one? Grades the same submission in both, in turn, and compares.

    git worktree add ../before COMMIT
    python benchmarks/against.py ../before [--times 40] [--wrong]

Each tree has a process of its own, in this environment, with a warm forkserver. The speed of a shared machine changes
within minutes, so the two take turns at single gradings, and a different one begins each time. Exits with 1 if this
tree takes more than `--limit` times as long.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent.parent
LIMIT = 1.1
WARM_UP = 3
WRONG = "def grad_w1(x, dz1):\n    return 2 * x.T @ dz1"


def main() -> int:
    """Grade in turn, and print the comparison. Returns 1 if this tree is too slow, else 0."""
    parser = argparse.ArgumentParser(description="Compare the time of a warm grading with that of an older tree.")
    parser.add_argument("tree", type=Path, help="a checkout of the older tree")
    parser.add_argument("--assignment", default="two_layer_mse", help="which right answers are graded [two_layer_mse]")
    parser.add_argument("--wrong", action="store_true", help="with twice the gradient in grad_w1 of two_layer_mse")
    parser.add_argument("--times", type=int, default=40, help="how many gradings in each tree [40]")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"how many times as long it may take [{LIMIT}]")
    parser.add_argument("--grade", action="store_true", help=argparse.SUPPRESS)  # in the process of one tree
    options = parser.parse_args()
    if options.grade:
        grade_when_asked(options.tree, options.assignment, is_wrong=options.wrong)
        return 0
    with contextlib.ExitStack() as stack:
        trees = [stack.enter_context(grading_in(tree.resolve(), options)) for tree in (options.tree, HERE)]
        for tree in trees:
            for _ in range(WARM_UP):
                timed(tree)
        pairs = []
        for turn in range(options.times):
            first, second = (0, 1) if turn % 2 == 0 else (1, 0)
            seconds = {first: timed(trees[first]), second: timed(trees[second])}
            pairs.append((seconds[0], seconds[1]))
    before, now = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    ratio = statistics.median(second / first for first, second in pairs)
    print(f"before {before:.3f} s, now {now:.3f} s, median of the ratios {ratio:.2f}, limit {options.limit:.2f}")
    return 1 if ratio > options.limit else 0


@contextlib.contextmanager
def grading_in(tree: Path, options: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    """A process that grades with the code of a tree."""
    wrong = ["--wrong"] if options.wrong else []
    process = subprocess.Popen(
        [sys.executable, __file__, str(tree), "--grade", "--assignment", options.assignment, *wrong],
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        _ends(process)[0].close()


def timed(process: subprocess.Popen[str]) -> float:
    """The seconds that one grading took."""
    question, answer = _ends(process)
    question.write("grade\n")
    question.flush()
    return float(answer.readline())


def _ends(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def grade_when_asked(tree: Path, assignment_id: str, *, is_wrong: bool) -> None:
    """Grade once for each line on standard input, and print how long it took."""
    from grader.execution.warm import warming_up

    with warming_up():
        import nbformat

        from grader.assignment.load import load_assignment
        from grader.assignment.source import read_source
        from grader.authoring.release import fill_blanks, release_notebook
        from grader.model import Submission
        from grader.pipeline import grade
    source = tree / "solutions" / f"{assignment_id}.md"
    assignment = load_assignment(source)
    codes = {**assignment.solution_code, **({"grad_w1": WRONG} if is_wrong else {})}
    answers = "\n".join(f"# %% answers: {name}\n{code}" for name, code in codes.items())
    notebook = fill_blanks(release_notebook(read_source(source)), answers)
    submission = Submission.of(nbformat.writes(notebook).encode(), name=f"{assignment_id}.ipynb", student="1001")
    for _ in sys.stdin:
        started = time.perf_counter()
        report = grade(submission, assignment)
        seconds = time.perf_counter() - started
        if (report.score == report.max_score) is is_wrong:
            raise RuntimeError(f"{report.score:g} of {report.max_score:g} points")
        print(seconds, flush=True)


if __name__ == "__main__":
    sys.exit(main())
