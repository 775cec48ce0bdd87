"""`python -m tests.fuzz kernels --runs 20000 --seed 1`: a long run of one fuzzer, or one run again."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.running import NAMES, run_share


def main() -> int:
    """Run a fuzzer as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("fuzzer", choices=NAMES)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the runs")
    parser.add_argument("--seconds", type=float, help="no run begins after this time")
    parser.add_argument("--only", type=int, help="the number of the one run to do again")
    options = parser.parse_args()
    if options.only is not None:
        summaries = [run_share(options.fuzzer, 1, options.seed, options.only, 1, None)]
    else:
        shares = [
            (
                options.fuzzer,
                len(range(job, options.runs, options.jobs)),
                options.seed,
                job,
                options.jobs,
                options.seconds,
            )
            for job in range(options.jobs)
        ]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:  # raises if one of them crashes
            summaries = list(pool.map(run_share, *zip(*shares, strict=True)))
    for summary in summaries:
        sys.stdout.write(f"{summary}\n")
    return int(any(summary.failed or summary.grown for summary in summaries))


if __name__ == "__main__":
    sys.exit(main())
