"""
Times what diagnosis and counterexamples add to a grading, warm and the first time.

    python benchmarks/diagnosis.py --times 10

Wrong submissions of the corpus are graded without an explanation, with diagnoses, and with counterexamples, too, in
turn. Exits with 1 if both add more than `LIMIT` to the total time of warm gradings. The first time, the mutants of an
exercise are evaluated, and its small cases are drawn; `first` is the additional cost of that, once per process and
assignment.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import nbformat

from grader import verdict
from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.diagnosis.bank import bank
from grader.diagnosis.mutants import make_mutants, make_pairs
from grader.model import Submission
from grader.pipeline import grade
from grader.reference.cases import build_cases
from grader.reference.chain import build_chain
from grader.reference.sizes import small_networks
from grader.reference.small import small_cases

LIMIT = 0.25
ROOT = Path(__file__).parent.parent
SUBMISSIONS = (
    "two_layer_mse/wrong_missing_mask",
    "two_layer_mse/wrong_in_einsum",
    "two_layer_mse/wrong_twice_in_each",
    "softmax_cross_entropy/wrong_several_styles",
    "deep_mlp/wrong_several_styles",
    "batchnorm/wrong_several_styles",
    "convnet/wrong_flips_the_window",
    "attention/wrong_several_styles",
)
"""Mistakes that one mutant explains, mistakes that only a pair explains, and one that nothing explains."""


def main() -> int:
    """Print the table. Returns 1 if diagnosis adds too much, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--times",
        type=int,
        default=10,
        help="how often each submission is graded with diagnosis, and how often without [10]",
    )
    times = parser.parse_args().times
    heads = f"{'without':>9}{'diagnosed':>11}{'and numbers':>13}{'ratios':>14}{'first':>9}"
    print(f"{'submission':48}{heads}   milliseconds; medians of {times}")
    totals = [0.0, 0.0, 0.0]
    for name in (name for name in SUBMISSIONS if (ROOT / "tests" / "corpus" / name).is_dir()):
        assignment_id = name.partition("/")[0]
        path = ROOT / "solutions" / f"{assignment_id}.md"
        complete = load_assignment(path)
        diagnosed = dataclasses.replace(complete, counterexample=False)
        submission = handed_in(name, path)
        for assignment in (complete, diagnosed):
            build_cases(assignment), build_chain(assignment)
        forget()
        with without_diagnosis():
            grade(submission, diagnosed)
        first = seconds(submission, complete)
        grade(submission, diagnosed)
        taken: tuple[list[float], list[float], list[float]] = ([], [], [])
        for _ in range(times):
            with without_diagnosis():
                taken[0].append(seconds(submission, diagnosed))
            taken[1].append(seconds(submission, diagnosed))
            taken[2].append(seconds(submission, complete))
        medians = [statistics.median(each) for each in taken]
        totals = [total + median for total, median in zip(totals, medians, strict=True)]
        without = medians[0]
        print(
            f"{name:48}{1000 * without:9.0f}{1000 * medians[1]:11.0f}{1000 * medians[2]:13.0f}"
            f"{medians[1] / without:7.2f}{medians[2] / without:7.2f}{1000 * (first - without):9.0f}"
        )
    diagnosis, both = (total / totals[0] - 1 for total in totals[1:])
    print(
        f"Diagnosis adds {100 * diagnosis:.1f} % to a warm grading, and with counterexamples it is {100 * both:.1f} %; "
        f"both may add {100 * LIMIT:.0f} %."
    )
    return 0 if both <= LIMIT else 1


def handed_in(name: str, path: Path) -> Submission:
    """A submission of the corpus. The solution fills in the exercises that it does not answer."""
    answers = (ROOT / "tests" / "corpus" / name / "answers.py").read_text(encoding="utf-8")
    source = read_source(path)
    notebook = fill_blanks(release_notebook(source), answers)
    for exercise in source.exercises:
        if f"def {exercise.name}(" not in answers:
            notebook = fill_blanks(notebook, exercise.code)
    return Submission.of(nbformat.writes(notebook).encode(), name=f"{path.stem}.ipynb", student=name)


def forget() -> None:
    """Clear the caches, as in a process that has not diagnosed anything yet."""
    for cached in (bank, make_mutants, make_pairs, small_networks, small_cases):
        cached.cache_clear()


def seconds(submission: Submission, assignment: Assignment) -> float:
    """The wall time of one grading, in seconds."""
    started = time.perf_counter()
    grade(submission, assignment)
    return time.perf_counter() - started


@contextlib.contextmanager
def without_diagnosis() -> Iterator[None]:
    """A context in which wrong answers get no diagnosis and no fingerprint."""
    with (
        mock.patch.object(verdict, "diagnose", return_value=()),
        mock.patch.object(verdict, "fingerprint", return_value=None),
    ):
        yield


if __name__ == "__main__":
    sys.exit(main())
