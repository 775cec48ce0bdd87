"""A short run of each fuzzer. `python -m tests.fuzz NAME --runs 20000 --seed 1` is a long one."""

from __future__ import annotations

import dataclasses
import importlib
import random

import pytest

from tests.fuzz.footprint import Footprint, footprint, growth
from tests.fuzz.running import FEWEST, Fuzzer, fuzz

RUNS = {"archives": 15, "conductors": 30, "files": 60, "kernels": 25}
# `answers` finds out first what each mistake returns, which takes half a minute.
SECONDS = 3.0
"""No run begins later, if there have been a few: the machine may be busy. Each run has limits of its own."""


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.filterwarnings("default")
def test_nothing_is_wrong_in_a_short_run(name: str) -> None:
    fuzzer: Fuzzer = getattr(importlib.import_module(f"tests.fuzz.{name}"), name.upper())

    summary = fuzz(fuzzer, runs=RUNS[name], seed=0, seconds=SECONDS)

    assert not summary.failed, summary.failed[0]
    assert summary.runs >= FEWEST
    if summary.runs == RUNS[name]:
        assert len(summary.ended) > 3, "nearly all runs end in the same way: the fuzzer does not get far"
    assert summary.after.files <= summary.before.files + 5
    assert summary.after.threads <= summary.before.threads


def test_a_script_that_fails_is_made_smaller() -> None:
    """What is left is what the failure needs, and every run has a number by which it is done again."""

    def run(script: object) -> list[str]:
        assert ("bad", 3) not in list(script), "it is bad"  # type: ignore[call-overload]
        return ["well"]

    def script(rng: random.Random) -> list[tuple[str, int]]:
        return [(rng.choice(("good", "bad")), rng.randrange(9)) for _ in range(30)]

    summary = fuzz(Fuzzer("bad", script, run), runs=20, seed=1)
    again = fuzz(Fuzzer("bad", script, run), runs=1, seed=1, first=summary.failed[0].number)

    assert summary.failed
    assert summary.ended["well"] + len(summary.failed) == 20
    assert all(failed.script == [("bad", 3)] for failed in summary.failed)
    assert again.failed == summary.failed[:1]


def test_what_grows_is_told() -> None:
    before = Footprint(
        memory=100_000, peak=150_000, blocks=1_000_000, files=10, threads=1, left_behind=frozenset({"a"})
    )
    much = Footprint(
        memory=200_000, peak=2_000_000, blocks=2_000_000, files=99, threads=2, children=1, left_behind=frozenset({"b"})
    )

    assert growth(before, dataclasses.replace(before, memory=101_000, files=11, left_behind=frozenset())) == []
    assert [what.split(":")[0] for what in growth(before, much)] == [
        *("memory", "blocks", "files", "threads", "children", "peak", "left behind"),
    ]
    assert footprint().threads >= 1
    assert footprint().peak >= footprint().memory > 1_000
