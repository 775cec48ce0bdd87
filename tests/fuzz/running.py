"""
Runs a fuzzer many times, counts what happened, watches what grows, and makes a script that fails smaller.

A script is a list of steps. It depends only on the seed and the number of its run, and each step brings a seed of its
own: the other steps do the same when one is taken away.
"""

from __future__ import annotations

import dataclasses
import importlib
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.fuzz.footprint import Footprint, bind_allocator, footprint, growth

__all__ = ["FEWEST", "NAMES", "Fuzzer", "Outcome", "Step", "Summary", "fuzz", "run_share"]

NAMES = ("answers", "archives", "conductors", "files", "kernels")
"""The fuzzers. Each is a constant in capitals, in the module that is called like it."""

Step = tuple[Any, ...]
"""What is done, and with what: `("say", 17)`."""

LONGEST_S = 60.0
"""How long a run may take. All limits within it are scaled to about a second, but the machine may be very busy."""
FEWEST = 5
"""How many runs there are, however busy the machine is."""
_SHRINKS = 80
_WARM_UP, _MOST_WARM_UP = 0.2, 1_000
"""The share of all runs after which there has to be no growth, and how many these are at most: caches fill first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fuzzer:
    """
    One way to be hostile.

    Attributes:
        script: Makes the steps of one run.
        run: Does them, raises an `AssertionError` or another exception if something is wrong, and says in a few words
            how it ended.
        prepare: Does what takes long and is done once.
    """

    name: str
    script: Callable[[random.Random], list[Step]]
    run: Callable[[Sequence[Step]], Sequence[str]]
    prepare: Callable[[], None] = lambda: None


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """A run that failed: its number, its smallest script, and why."""

    number: int
    script: list[Step]
    why: str


@dataclasses.dataclass(slots=True)
class Summary:
    """What became of all runs."""

    runs: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    longest_number: int = -1
    ended: Counter[str] = dataclasses.field(default_factory=Counter)
    failed: list[Outcome] = dataclasses.field(default_factory=list)
    before: Footprint = dataclasses.field(default_factory=Footprint)
    after: Footprint = dataclasses.field(default_factory=Footprint)
    grown: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        ended = "".join(f"\n  {count:7,}  {how}" for how, count in self.ended.most_common(40))
        grown = "".join(f"\ngrown: {what}" for what in self.grown)
        return (
            f"{self.runs:,} runs in {self.seconds:,.0f} s; the longest took {self.longest:.2f} s "
            f"(number {self.longest_number}); {len(self.failed)} failed\n"
            f"after the first runs: {self.before}\nat the end: {self.after}{grown}{ended}"
        )


def fuzz(
    fuzzer: Fuzzer,
    *,
    runs: int,
    seed: int,
    first: int = 0,
    every: int = 1,
    seconds: float | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Summary:
    """
    Run a fuzzer.

    Args:
        first: The number of the first run.
        every: The distance of the numbers of two runs, if several processes share them.
        seconds: No run begins after this time, except for the first few.
        tell: Called with what a person may want to read meanwhile.
    """
    summary = Summary()
    fuzzer.prepare()
    warm_up = min(_MOST_WARM_UP, max(1, int(_WARM_UP * runs)))
    started = time.monotonic()
    for number in range(first, first + runs * every, every):
        if seconds is not None and time.monotonic() - started > seconds and summary.runs >= FEWEST:
            break
        script = fuzzer.script(random.Random(f"{seed}/{number}"))
        before = time.monotonic()
        why, ended = _tried(fuzzer, script)
        took = time.monotonic() - before
        summary.runs += 1
        summary.ended.update(ended)
        if took > summary.longest:
            summary.longest, summary.longest_number = took, number
        if why is not None:
            small = _smaller(fuzzer, script, why)
            summary.failed.append(Outcome(number, small, why))
            tell(f"number {number} failed: {why}\n  {small}")
            if len(summary.failed) >= 20:
                break
        if summary.runs == warm_up:
            summary.before = footprint()
        if summary.runs % 500 == 0:
            tell(f"{summary.runs:,} runs, {time.monotonic() - started:,.0f} s, {footprint()}")
    summary.seconds = time.monotonic() - started
    summary.after = footprint()
    if summary.before != Footprint():
        summary.grown = growth(summary.before, summary.after)
    return summary


def _tried(fuzzer: Fuzzer, script: Sequence[Step]) -> tuple[str | None, Sequence[str]]:
    """Why a run of a script failed, or None, and how it ended."""
    started = time.monotonic()
    try:
        ended = fuzzer.run(script)
    except Exception as error:
        kind = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:40]}"
        return f"{kind}\n{traceback.format_exc(limit=-6)}", ["failed"]
    took = time.monotonic() - started
    return (f"it took too long\n{took:.1f} s" if took > LONGEST_S else None), ended


def _smaller(fuzzer: Fuzzer, script: list[Step], why: str) -> list[Step]:
    """The script without the steps that it does not need to fail in the same way."""
    kind = why.splitlines()[0]
    tries, size = 0, max(1, len(script) // 2)
    while size and tries < _SHRINKS:
        place = 0
        while place < len(script) and tries < _SHRINKS:
            shorter = script[:place] + script[place + size :]
            tries += 1
            again, _ = _tried(fuzzer, shorter)
            if again is not None and again.splitlines()[0] == kind:
                script = shorter
            else:
                place += size
        size //= 2
    return script


def run_share(name: str, runs: int, seed: int, first: int, every: int, seconds: float | None) -> Summary:
    """A share of the runs of the fuzzer that is called so, in this process. The arguments are those of `fuzz`."""
    bind_allocator()
    fuzzer: Fuzzer = getattr(importlib.import_module(f"tests.fuzz.{name}"), name.upper())

    def tell(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="grader-fuzz-") as folder:
        tempfile.tempdir = folder
        try:
            return fuzz(fuzzer, runs=runs, seed=seed, first=first, every=every, seconds=seconds, tell=tell)
        finally:
            tempfile.tempdir = None
