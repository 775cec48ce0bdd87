"""A control group for each kernel, tested on the machine's real cgroup tree as far as it goes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grader.sandbox import ForkServer, start_forked_kernel
from grader.sandbox.cgroup import Tree

from .conftest import SANDBOX_BOUNDS

TREE = Tree.find()
pytestmark = pytest.mark.skipif(TREE is None, reason="no part of the cgroup v2 tree was delegated to us")
FIND = "from grader.sandbox.cgroup import Tree; tree = Tree.find(); print(tree and tree.folder)"


def groups(server: ForkServer) -> list[Path]:
    assert TREE is not None
    return list(TREE.folder.glob(f"grader-{server.pid}-*"))


def test_a_kernel_and_what_it_starts_are_in_a_group_of_their_own(sandbox_server: ForkServer) -> None:
    """When the kernel has ended, its group is removed before the next one is made."""

    async def run() -> tuple[list[Path], int]:
        async with start_forked_kernel(sandbox_server, SANDBOX_BOUNDS) as kernel:
            await kernel.client.execute("import subprocess; subprocess.Popen(['sleep', '60'])", reply=True, timeout=60)
            populated = [g for g in groups(sandbox_server) if (g / "cgroup.procs").read_text()]
            return populated, sum(len((group / "cgroup.procs").read_text().split()) for group in populated)

    first, members = asyncio.run(run())
    assert sandbox_server.pid is not None
    psutil.wait_procs(psutil.Process(sandbox_server.pid).children(recursive=True), timeout=30)
    second, _ = asyncio.run(run())

    assert len(first) == len(second) == 1
    assert members == 2
    assert first[0] != second[0]
    assert first[0] not in groups(sandbox_server)


def test_time_of_children_that_nobody_waits_for_counts(sandbox_server: ForkServer) -> None:
    """Each child ends before `/proc` is read again, but the group has counted it."""
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "while True:\n"
        "    if os.fork() == 0:\n"
        "        while time.process_time() < 0.05: pass\n"
        "        os._exit(0)\n"
        "    time.sleep(0.06)"
    )

    async def run() -> str:
        async with start_forked_kernel(sandbox_server, dataclasses.replace(SANDBOX_BOUNDS, cpu_s=2)) as kernel:
            assert kernel.sandbox is not None
            kernel.client.execute(code)
            await asyncio.wait_for(kernel.sandbox.wait(), 60)
            return kernel.sandbox.end

    assert asyncio.run(run()) == "cpu"


def test_the_layer_is_reported_if_memory_and_processes_are_bounded(sandbox_server: ForkServer) -> None:
    assert TREE is not None
    bounded = {"memory", "pids"} <= set((TREE.folder / "cgroup.subtree_control").read_text().split())

    async def run() -> tuple[str, ...]:
        async with start_forked_kernel(sandbox_server, SANDBOX_BOUNDS) as kernel:
            return kernel.layers

    assert ("cgroup" in asyncio.run(run())) is bounded


@pytest.fixture
def group() -> Iterator[Path]:
    assert TREE is not None
    path = TREE.folder / f"test-{os.getpid()}"
    path.mkdir()
    yield path
    until = time.monotonic() + 5
    while path.exists() and time.monotonic() < until:
        try:
            for entry in [*path.iterdir(), path]:
                if entry.is_dir():
                    entry.rmdir()
        except OSError:
            time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a group")
@pytest.mark.parametrize("mark", [None, "user.delegate"])
def test_only_a_group_that_was_delegated_is_used(group: Path, mark: str | None) -> None:
    """Such a group has a mark from systemd. That we may write to a group is not enough."""
    if mark is not None:
        os.setxattr(group, mark, b"1")

    def enter() -> None:
        (group / "cgroup.procs").write_text("0")

    found = subprocess.run([sys.executable, "-c", FIND], preexec_fn=enter, capture_output=True, text=True, check=True)

    assert found.stdout.strip() == str(group if mark else None)
