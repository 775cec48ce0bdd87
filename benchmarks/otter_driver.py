"""
Grades by otter's documented Python interface, in otter's own environment: one import, then one call per submission.

Reads lines of JSON with the path of a notebook, and answers each with the seconds and the score. This is cheaper than
the command `otter run`, which starts Python and imports otter for each submission.

    python otter_driver.py AUTOGRADER.ZIP
"""

from __future__ import annotations

import json
import os
import sys
import time

from otter.api import grade_submission

__all__: list[str] = []


def _serve(autograder: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        path = json.loads(line)["path"]
        started = time.perf_counter()
        results = grade_submission(path, autograder, quiet=True)
        seconds = time.perf_counter() - started
        reply = {"seconds": seconds, "score": results.total, "max_score": results.possible}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
