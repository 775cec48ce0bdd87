"""
The tests that others wrote for kernels, pointed at ours: ipykernel's own, and those of `jupyter_kernel_test`.

Ipykernel's are in its source distribution only, which is downloaded. The installed version is asked for, so that the
tests are those of the kernel that ours is made from.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from grader.sandbox import ForkServer
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ForkServer.is_available(), reason="kernels are forked on Linux only"),
]

FILES = ("test_kernel", "test_message_spec", "test_async")
WAIT_S = 10
"""How long ipykernel's tests wait for a reply, instead of 100 seconds: some of ours are not sent at all."""

PROCESSES = 3
"""How many tests run at once: most of the time, they wait."""

DIFFERENCES = {
    "test_kernel_info_request": "The kernel says truly that it has no subshells: passing messages on to them needs a "
    "thread, which every cell would wake, and a notebook that is graded runs one cell after another.",
    "test_subshell": "There are no subshells.",
    "test_subprocess_print": "What forked children print is dropped: collecting it needs a TCP socket, and the kernel "
    "has no network.",
    "test_subprocess_error": "The same: the traceback of a forked child is printed by the child.",
    "test_save_history": "The test has the kernel write into a folder of the machine, which the sandbox refuses.",
}
"""The tests that fail on purpose, and why."""

PROTOCOL_DIFFERENCES = {
    "test_history": "It asks for the current session by number, which ipykernel calls 0: it fails there, too.",
}


@pytest.fixture(scope="module")
def kernelspecs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `JUPYTER_PATH` in which the kernel `python3` is ours."""
    folder = tmp_path_factory.mktemp("jupyter")
    spec = folder / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(
        json.dumps(
            {
                "argv": ["grader-forkserver"],
                "display_name": "Python",
                "language": "python",
                "interrupt_mode": "signal",
                "metadata": {"kernel_provisioner": {"provisioner_name": "grader-forkserver", "config": {}}},
            }
        )
    )
    return folder


@pytest.fixture(scope="module")
def ipykernel_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed ipykernel's source distribution."""
    folder = tmp_path_factory.mktemp("ipykernel")
    version = importlib.metadata.version("ipykernel")
    options = ["--no-deps", "--no-build-isolation", "--no-binary", "ipykernel", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, f"ipykernel=={version}"]
    downloaded = subprocess.run(command, capture_output=True, text=True)
    if downloaded.returncode != 0:
        reason = f"ipykernel's source distribution cannot be downloaded: {downloaded.stderr[-1000:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    (archive,) = folder.glob("ipykernel-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / f"ipykernel-{version}"


def outcomes(
    tests: list[str], *, kernelspecs: Path, folder: Path, plugin: str = "", again: bool = False
) -> tuple[set[str], set[str]]:
    """
    The names of the tests that failed, and of those that passed, when pytest runs them on our kernel.

    With `again`, only those run that failed the last time, one after another.
    """
    plugins = kernelspecs / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "adapted.py").write_text(plugin)
    results = kernelspecs / "results.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "adapted", "-o", f"cache_dir={kernelspecs / 'cache'}"]
    command += ["--last-failed"] if again else ["--numprocesses", str(PROCESSES)]
    command += ["-c", os.devnull, "--rootdir", str(folder)]
    command += ["-o", "asyncio_mode=auto", f"--junitxml={results}"]
    search = os.pathsep.join([str(ROOT), str(plugins), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"JUPYTER_PATH": str(kernelspecs), "PYTHONPATH": search}
    environment.pop("PYTEST_ADDOPTS", None)
    run = subprocess.run([*command, *tests], cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
    assert run.returncode in (0, 1), run.stdout[-4000:] + run.stderr[-4000:]
    failed, passed = set(), set()
    for case in (case for suite in JUnitXml.fromfile(str(results)) for case in suite):
        kinds = {type(result) for result in case.result}
        if kinds & {Error, Failure}:
            failed.add(case.name)
        elif Skipped not in kinds:
            passed.add(case.name)
    return failed, passed


def test_ipykernels_own_tests_pass(ipykernel_source: Path, kernelspecs: Path) -> None:
    """
    All but the listed ones, and those all fail.

    Some of them count on a thread that prints before its cell ends, or wait one second for a message, whatever else
    the machine does: an unexpected failure has to happen three times.
    """
    plugin = f"import sys\ndef pytest_collection(session):\n    sys.modules['tests.utils'].TIMEOUT = {WAIT_S}\n"
    tests = [f"tests/{name}.py" for name in FILES]
    failed, passed = outcomes(tests, kernelspecs=kernelspecs, folder=ipykernel_source, plugin=plugin)
    for _ in range(2):
        if failed > set(DIFFERENCES):
            failed, _ = outcomes(tests, kernelspecs=kernelspecs, folder=ipykernel_source, plugin=plugin, again=True)
    assert failed == set(DIFFERENCES)
    assert len(passed) > 40


def test_the_tests_for_any_kernel_pass(kernelspecs: Path, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("protocol.py"), tmp_path)
    failed, passed = outcomes(["protocol.py"], kernelspecs=kernelspecs, folder=tmp_path)
    assert failed == set(PROTOCOL_DIFFERENCES)
    assert len(passed) > 10
