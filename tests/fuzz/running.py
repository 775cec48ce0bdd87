"""
Runs a fuzzer many times, counts what happened, watches the time and the memory, and makes a script that fails smaller.

A script is a list of steps. It depends only on the seed and the number of its run, and each step brings a seed of its
own: the other steps do the same when one is taken away.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["NAMES", "Fuzzer", "Outcome", "Step", "Summary", "fuzz", "open_files", "run_share"]

NAMES = ("archives", "conductors", "files", "kernels")
"""The fuzzers. Each is a constant in capitals, in the module that is called like it."""

Step = tuple[Any, ...]
"""What is done, and with what: `("say", 17)`."""

LONGEST_S = 60.0
"""How long a run may take. All limits within it are scaled to about a second, but the machine may be very busy."""
_WARM_UP = 50
_SHRINKS = 80


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
    memory_before: int = 0
    memory_after: int = 0
    memory_peak: int = 0
    files_before: int = 0
    files_after: int = 0

    def __str__(self) -> str:
        ended = "".join(f"\n  {count:7,}  {how}" for how, count in self.ended.most_common(40))
        return (
            f"{self.runs:,} runs in {self.seconds:,.0f} s; the longest took {self.longest:.2f} s "
            f"(number {self.longest_number}); memory {self.memory_before:,} KiB after the first runs and "
            f"{self.memory_after:,} KiB at the end, {self.memory_peak:,} KiB at most; "
            f"open files {self.files_before} and {self.files_after}; {len(self.failed)} failed{ended}"
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
        seconds: No run begins after this time.
        tell: Called with what a person may want to read meanwhile.
    """
    summary = Summary()
    fuzzer.prepare()
    started = time.monotonic()
    for number in range(first, first + runs * every, every):
        if seconds is not None and time.monotonic() - started > seconds:
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
        summary.memory_peak = max(summary.memory_peak, _memory())
        if summary.runs == min(_WARM_UP, runs):
            summary.memory_before, summary.files_before = _memory(), open_files()
        if summary.runs % 500 == 0:
            tell(f"{summary.runs:,} runs, {time.monotonic() - started:,.0f} s, {_memory():,} KiB")
    if not summary.memory_before:
        summary.memory_before, summary.files_before = _memory(), open_files()
    summary.seconds = time.monotonic() - started
    summary.memory_after, summary.files_after = _memory(), open_files()
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


def _memory() -> int:
    """KiB of memory that this process has."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no file of ours
        return int(file.read().split()[1]) * (resource.getpagesize() // 1024)


def open_files() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - no folder of ours


def run_share(name: str, runs: int, seed: int, first: int, every: int, seconds: float | None) -> Summary:
    """A share of the runs of the fuzzer that is called so, in this process. The arguments are those of `fuzz`."""
    fuzzer: Fuzzer = getattr(importlib.import_module(f"tests.fuzz.{name}"), name.upper())

    def tell(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    return fuzz(fuzzer, runs=runs, seed=seed, first=first, every=every, seconds=seconds, tell=tell)
