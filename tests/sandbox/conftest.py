"""One warm forkserver for all tests of the sandbox, and a way to run code in its kernels."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.execution.warm import OWN, PACKAGES, PRELOAD
from grader.sandbox import Bounds, ForkServer, Level, level_of, start_forked_kernel

CHANNEL_VARIABLE = "TEST_CHANNEL"
SANDBOX_BOUNDS = Bounds(memory_mib=512, processes=32, scratch_mib=16, file_size_mib=8, cpu_s=20)


@dataclasses.dataclass(frozen=True)
class SandboxRunner:
    """Runs cells in a new kernel."""

    server: ForkServer

    def run(self, *cells: str, bounds: Bounds = SANDBOX_BOUNDS, timeout_s: float = 20.0) -> Any:
        """The value of the name `result` after the cells; a string if it is the name of what a cell raised."""
        return asyncio.run(self._run(cells, bounds, timeout_s))

    def attempt(self, expression: str, *, imports: str = "os, socket") -> Any:
        """The expression's value, or the name of the `OSError` that it raised."""
        code = (
            f"import {imports}\n"
            "try:\n"
            f"    result = {expression}\n"
            "except OSError as error:\n"
            "    result = type(error).__name__"
        )
        return self.run(code)

    async def _run(self, cells: tuple[str, ...], bounds: Bounds, timeout_s: float) -> Any:
        async with start_forked_kernel(self.server, bounds) as kernel:
            for cell in cells[:-1]:
                await kernel.client.execute(cell, reply=True, timeout=timeout_s)
            reply = await kernel.client.execute(
                cells[-1], reply=True, timeout=timeout_s, user_expressions={"result": "result"}
            )
        content = reply["content"]
        if content["status"] != "ok":
            return f"{content['ename']}: {content['evalue']}"
        value = content["user_expressions"]["result"]
        return eval(value["data"]["text/plain"]) if value["status"] == "ok" else value["ename"]


@pytest.fixture(scope="session")
def sandbox_secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "solution.txt"
    path.write_text("42")
    return path


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[ForkServer]:
    if not ForkServer.is_available():
        pytest.skip("kernels are forked on Linux only")
    os.environ["SANDBOX_TEST_SECRET"] = "a secret of the caller's"
    secrets = [Path(__file__).parents[2] / "grader" / "samples"]
    with ForkServer(
        preload=PRELOAD, packages=PACKAGES, own=OWN, secrets=secrets, channel_variable=CHANNEL_VARIABLE
    ) as server:
        yield server


@pytest.fixture
def sandbox_runner(sandbox_server: ForkServer) -> SandboxRunner:
    return SandboxRunner(sandbox_server)


@pytest.fixture
def isolated_runner(sandbox_server: ForkServer) -> SandboxRunner:
    if level_of(sandbox_server.layers) < Level.ISOLATED:
        pytest.skip(f"namespaces are refused here: {sandbox_server.layers}")
    return SandboxRunner(sandbox_server)
