"""What notebooks do, in an ordinary kernel and in ours as grading starts it: the same cells raise, names are equal."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from grader.execution.kernels import start_kernel
from grader.model import Limits
from grader.sandbox import ForkServer, clean_environment, make_scratch

from .notebook_features import FEATURES, Feature, Outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ForkServer.is_available(), reason="kernels are forked on Linux only"),
]

TIMED_OUT = "(timed out)"
DIED = "(died)"
LIMITS = Limits()
BEGIN = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import like_new; del sys.path[0]"
LIKE_NEW = "__import__('like_new').restore()"


class OrdinaryKernel:
    """An ordinary ipykernel, started as Jupyter does, with the environment and the folders that ours has."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grader-"))
        self.work, self.variables = make_scratch(self.folder / "scratch")
        self.manager = AsyncKernelManager(
            transport="ipc", ip=str(self.folder / "ipc"), connection_file=str(self.folder / "connection.json")
        )
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager._kernel_spec = KernelSpec(argv=command, display_name="Python", language="python")

    async def start(self) -> None:
        environment = clean_environment() | self.variables
        await self.manager.start_kernel(cwd=str(self.work), env=environment)
        self.client = self.manager.client()
        self.client.start_channels()
        await self.client.wait_for_ready(timeout=60)

    async def stop(self) -> None:
        self.client.stop_channels()
        await self.manager.shutdown_kernel(now=True)
        self.manager.context.destroy(linger=0)
        shutil.rmtree(self.folder, ignore_errors=True)


class _Ordinary:
    """Runs features in ordinary kernels: those that leave their process as it was share one."""

    def __init__(self) -> None:
        self.shared: OrdinaryKernel | None = None

    @contextlib.asynccontextmanager
    async def _kernel(self, *, own: bool) -> AsyncIterator[OrdinaryKernel]:
        if own or self.shared is None:
            kernel = OrdinaryKernel()
            await kernel.start()
            if own:
                try:
                    yield kernel
                finally:
                    await kernel.stop()
                return
            self.shared = kernel
            await self._prepare(BEGIN)
        await self._prepare(LIKE_NEW)
        yield self.shared

    async def _prepare(self, code: str) -> None:
        content = await _execute(self.shared, code, is_kept=False)
        assert content["status"] == "ok", content

    async def run(self, feature: Feature) -> Outcome:
        async with self._kernel(own=feature.own) as kernel:
            return await outcome(kernel, feature)


async def _execute(
    kernel: Any,
    code: str,
    expressions: dict[str, str] | None = None,
    *,
    seconds: float = 20.0,
    is_kept: bool = True,
) -> dict[str, Any]:
    """The content of the reply; its `ename` is `TIMED_OUT` or `DIED` if there is none."""
    request = kernel.client.execute(
        code, user_expressions=expressions, allow_stdin=False, stop_on_error=False, store_history=is_kept
    )
    until = asyncio.get_running_loop().time() + seconds
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            reply = await kernel.client.get_shell_msg(timeout=min(left, 0.5))
        except Empty:
            if not await kernel.manager.is_alive():
                return {"status": "error", "ename": DIED}
            continue
        if reply["parent_header"].get("msg_id") == request:
            return reply["content"]
    return {"status": "error", "ename": TIMED_OUT}


async def outcome(kernel: Any, feature: Feature) -> Outcome:
    """Which cells of a feature raise what in a kernel, and what the expressions are afterwards."""
    raised = []
    for cell in feature.cells:
        content = await _execute(kernel, cell, seconds=feature.seconds)
        raised.append(content.get("ename", "") if content["status"] == "error" else "")
        if raised[-1] in (TIMED_OUT, DIED):
            return Outcome(tuple(raised))
    expressions = {str(number): expression for number, expression in enumerate(feature.see)}
    content = await _execute(kernel, "", expressions)
    values = content.get("user_expressions", {})
    shown = [values.get(number, {"ename": content.get("ename")}) for number in expressions]
    return Outcome(
        tuple(raised), tuple(value["data"]["text/plain"] if "data" in value else value["ename"] for value in shown)
    )


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One event loop for all features, since the shared kernel's channels belong to it."""
    with contextlib.closing(asyncio.new_event_loop()) as made:
        yield made


@pytest.fixture(scope="module")
def ordinary(loop: asyncio.AbstractEventLoop) -> Iterator[_Ordinary]:
    runner = _Ordinary()
    yield runner
    if runner.shared is not None:
        loop.run_until_complete(runner.shared.stop())


async def _in_ours(feature: Feature) -> Outcome:
    async with start_kernel(LIMITS, quiet=True, seed=1) as kernel:
        return await outcome(kernel, feature)


async def _in_both(feature: Feature, ordinary: _Ordinary) -> tuple[Outcome, Outcome]:
    return await asyncio.gather(ordinary.run(feature), _in_ours(feature))


def _parameters() -> Iterator[Any]:
    """The rows, in two groups, since they take longer than any other file."""
    for number, feature in enumerate(FEATURES):
        group = pytest.mark.xdist_group(f"features-{2 * number // len(FEATURES)}")
        yield pytest.param(feature, id=feature.name, marks=group)


@pytest.mark.parametrize("feature", list(_parameters()))
def test_a_notebook_runs_as_in_an_ordinary_kernel(
    feature: Feature, loop: asyncio.AbstractEventLoop, ordinary: _Ordinary
) -> None:
    theirs, ours = loop.run_until_complete(_in_both(feature, ordinary))
    if feature.differs:
        assert ours == feature.ours
        assert ours != theirs, "it differs no more: it needs no reason"
    else:
        assert ours == theirs


def test_there_are_enough_features_and_each_has_a_name() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES) >= 120
