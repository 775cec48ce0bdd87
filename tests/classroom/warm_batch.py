"""
Runs `grader` commands in forks of a process that has imported everything, so that tests can kill them again and again.

Reads lines of JSON, the arguments; for each, prints the child's process id and, when it has ended, its exit status.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import torch

from grader.assignment.load import load_assignment
from grader.cli import main
from grader.reference.cases import build_cases


def serve(source: Path) -> None:
    torch.set_num_threads(1)  # a fork has no other threads
    build_cases(load_assignment(Path(source.name), source.read_bytes()))
    context: Any = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda *_: context  # workers too are there at once
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(main(json.loads(line)))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
