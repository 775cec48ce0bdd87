"""The sandbox as an ordinary user, and where namespaces are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import grader.sandbox

_REPOSITORY = Path(grader.sandbox.__file__).parents[2]
AS_USER = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--no-new-privs"]
NO_NAMESPACES = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
]


def interpreter() -> str:
    """A Python that an ordinary user can run, and that can import what this one can."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        inner = "import torch, ipykernel, grader.sandbox"  # in a second process: the first may still read as root
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
        if Path(candidate).exists() and run_elsewhere([*AS_USER, candidate, "-c", code]).returncode == 0:
            return candidate
    pytest.skip("no interpreter here can be read by an ordinary user")


def run_elsewhere(command: list[str]) -> subprocess.CompletedProcess[str]:
    packages = [str(Path(__import__(name).__file__).parents[1]) for name in ("torch", "ipykernel")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(_REPOSITORY), *packages]),
        "HOME": "/nonexistent",
    }
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=120, check=False)


def _attempt(*command: str) -> dict[str, Any]:
    done = run_elsewhere([*command, str(Path(__file__).with_name("attempt.py")), str(_REPOSITORY)])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _assert_contained(attempt: dict[str, Any]) -> None:
    result = attempt["result"]
    assert attempt["is_unharmed"]
    assert attempt["heard"] == ""
    denied = ("FileNotFoundError", "PermissionError", "ProcessLookupError", "OSError", "NotADirectoryError")
    for name in ("shadow", "parent_environment", "solutions", "kill_parent", "loopback", "datagram", "watch"):
        assert result[name] in denied, (name, result[name])
    assert result["plant"] in (*denied, "'/scratch/tmp'")
    assert (result["write"], result["fork"], result["import"]) == ("1", "768", "'wsgiref'")
    assert not Path("/tmp/planted-by-a-kernel").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user")
def test_an_ordinary_user_has_every_layer(sandbox_server: grader.sandbox.ForkServer) -> None:
    attempt = _attempt(*AS_USER, interpreter())
    assert set(attempt["layers"]) >= set(sandbox_server.layers)
    _assert_contained(attempt)
    assert attempt["left"] == []
    assert attempt["result"]["user"] == "(1000, 1000)"


@pytest.mark.slow
@pytest.mark.parametrize("user", [[], AS_USER])
def test_without_namespaces_the_other_layers_hold(user: list[str]) -> None:
    if not shutil.which("unshare") or run_elsewhere([*user, *NO_NAMESPACES, "true"]).returncode != 0:
        pytest.skip("namespaces are refused here to begin with, or cannot be refused")
    if user and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    attempt = _attempt(*user, *NO_NAMESPACES, interpreter() if user else sys.executable)
    assert attempt["level"] == "filtered"
    assert "private_root" not in attempt["layers"]
    _assert_contained(attempt)
    assert attempt["left"] == []
