"""How the grader uses the sandbox: what it hands over to it, and what becomes of the sandbox's exceptions."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import inspect
import pickle

import pytest

from grader.errors import SandboxError
from grader.execution import kernels, warm
from grader.execution.kernels import bounds_of, check_sandbox, start_kernel
from grader.harness.wire import CHANNEL_VARIABLE
from grader.model import Limits
from grader.sandbox import Bounds, ForkServer, ForkServerProvisioner, Level, SandboxUnavailable

needs_forks = pytest.mark.skipif(not ForkServer.is_available(), reason="kernels are forked on Linux only")


async def evaluated(expression: str) -> str:
    async with start_kernel(Limits()) as kernel:
        reply = await kernel.client.execute(
            "import os, sys", reply=True, timeout=20, user_expressions={"x": expression}
        )
        return reply["content"]["user_expressions"]["x"]["data"]["text/plain"]


def test_the_preload_module_has_what_the_sandbox_calls() -> None:
    """It is named by a string, which nothing else would check."""
    module = importlib.import_module(warm.PRELOAD)

    assert list(inspect.signature(module.prepare).parameters) == ["watched"]
    assert not inspect.signature(module.settle).parameters


@needs_forks
def test_a_kernel_begins_with_what_was_preloaded() -> None:
    wanted = ["torch", "matplotlib.pyplot", "grader.harness.serve", "grader.reference.mnist"]

    assert asyncio.run(evaluated(f"[name for name in {wanted} if name not in sys.modules]")) == "[]"


@pytest.mark.parametrize("is_forked", [pytest.param(True, marks=needs_forks), False])
def test_the_environment_has_nothing_of_ours(is_forked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither that of a forked kernel nor that of an ordinary one."""
    monkeypatch.setattr(ForkServer, "is_available", staticmethod(lambda: is_forked))
    monkeypatch.setenv("A_SECRET_OF_OURS", "1")

    names = set(eval(asyncio.run(evaluated("sorted(os.environ)"))))

    assert "A_SECRET_OF_OURS" not in names
    assert {"PATH", "HOME", "TMPDIR", "LANG", "MPLBACKEND", "OMP_NUM_THREADS", CHANNEL_VARIABLE} <= names


def test_the_bounds_of_the_sandbox_are_those_of_a_submission() -> None:
    """All of them are handed over, and both have the same defaults: a provisioner by its entry point has those."""
    changed = Limits(memory_mib=1, processes=2, cpu_s=3, file_size_mib=4, scratch_mib=5, output_bytes=6)
    provisioner = importlib.metadata.entry_points(group="jupyter_client.kernel_provisioners")["grader-forkserver"]

    assert bounds_of(Limits()) == Bounds()
    assert bounds_of(changed) == Bounds(
        memory_mib=1, processes=2, cpu_s=3, file_size_mib=4, scratch_mib=5, output_bytes=6
    )
    assert provisioner.load() is ForkServerProvisioner
    assert ForkServerProvisioner().bounds == Bounds()


@needs_forks
@pytest.mark.parametrize("hint", ["", "What to do."])
def test_what_the_sandbox_raises_is_an_error_of_the_grader(hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own hint, or else one that names `grader doctor`; it can be sent to another process."""

    def submit(*_: object) -> None:
        raise SandboxUnavailable("What happened.", hint)

    server = ForkServer()
    monkeypatch.setattr(server, "submit", submit)
    monkeypatch.setattr(kernels, "forkserver", lambda: server)

    with server, pytest.raises(SandboxError) as first:
        asyncio.run(evaluated("1"))
    with pytest.raises(SandboxError) as second:
        check_sandbox(Level.PROCESS, server)

    for raised in (first.value, second.value):
        assert str(pickle.loads(pickle.dumps(raised))) == f"What happened. {hint or 'Try `grader doctor`.'}"


def test_a_forkserver_that_cannot_begin_is_left_to_the_first_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ForkServer()
    server.close()
    monkeypatch.setattr(warm, "forkserver", lambda: server)

    warm.begin()
