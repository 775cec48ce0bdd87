"""No system call that takes a process's id reaches a process outside; honest code still reaches its own children."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_places import AS_USER, NO_NAMESPACES, interpreter, run_elsewhere

PROGRAM = Path(__file__).with_name("reach.py")
HONEST = {
    "a_killed_group": -9,
    "a_terminated_child": -15,
    "a_grandchild": True,
    "an_orphan": True,
    "an_ended_child": "ProcessLookupError: [Errno 3] No such process",
    "a_terminated_process": -15,
    "a_child_that_is_looked_after": -9,
    "a_nicer_child": 5,
    "limits_of_a_child": [64, 64],
    "a_signal_in_a_thread": True,
    "psutil_of_itself": True,
    "a_limit_of_itself": True,
    "by_asyncio": -9,
    "a_daemon_with_another_name": True,
}
# In a namespace of processes, these have the kernel's own processes for their object, and no others.
ONLY_ITS_OWN = {"kill everything", "setpriority of its user", "ioprio_set of its user"}


def _result(level: str, user: list[str]) -> dict[str, Any]:
    if user and (os.geteuid() != 0 or not shutil.which("setpriv")):
        pytest.skip("only root can be another user")
    place = [] if level == "isolated" else NO_NAMESPACES
    if place and (not shutil.which("unshare") or run_elsewhere([*user, *place, "true"]).returncode != 0):
        pytest.skip("namespaces are refused here to begin with, or cannot be refused")
    done: subprocess.CompletedProcess[str] = run_elsewhere(
        [*user, *place, interpreter() if user else sys.executable, str(PROGRAM)]
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    if result["level"] != level:
        pytest.skip(f"the level is {result['level']} here: {result['layers']}")
    return result


@pytest.mark.parametrize("user", [[], AS_USER], ids=["the caller", "an ordinary user"])
@pytest.mark.parametrize("level", ["isolated", "filtered"])
def test_no_call_reaches_a_process_outside(level: str, user: list[str]) -> None:
    result = _result(level, user)
    assert "own_processes" in result["layers"]
    assert result["is_unharmed"]
    reached = {name for name, answer in result["calls"].items() if answer == "reached"}
    assert reached <= (ONLY_ITS_OWN if level == "isolated" else set())
    errors = {os.strerror(number) for number in (errno.EPERM, errno.ESRCH, errno.EBADF, errno.ENOSYS)}
    assert set(result["calls"].values()) - {"reached"} <= errors
    assert result["honest"] == HONEST
    assert result["is_alone"], "a process whose name is not text has outlived the kernel"
