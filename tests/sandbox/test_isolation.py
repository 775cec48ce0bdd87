"""What untrusted code cannot see, reach or do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from .conftest import SandboxRunner

_CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    value = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return value, ctypes.get_errno()
"""


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/etc/hostname",
        "/root/.bashrc",
        "/root/.ssh",
        "/home",
        "/var/log",
        "/sys",
        "/run",
        "/dev/sda",
        "/proc/1/root/etc/shadow",
    ],
)
def test_files_of_the_machine_are_not_there(sandbox_runner: SandboxRunner, path: str) -> None:
    if "root" in path.split("/")[1:2] and os.geteuid() != 0:
        pytest.skip("this user may not read it outside either")
    result = sandbox_runner.attempt(f"os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read()")
    assert result in ("FileNotFoundError", "PermissionError", "NotADirectoryError")


def test_the_repository_and_other_folders_are_not_there(sandbox_runner: SandboxRunner, sandbox_secret: Path) -> None:
    repository = Path(__file__).parents[2]
    for path in (
        repository / "solutions",
        repository / "tests",
        repository / ".git",
        repository / "pyproject.toml",
        sandbox_secret,
    ):
        for expression in (f"open({str(path)!r}).read()", f"os.listdir({str(path)!r})"):
            result = sandbox_runner.attempt(expression)
            assert result in ("FileNotFoundError", "PermissionError"), path


def test_hidden_folders_of_the_package_are_empty(isolated_runner: SandboxRunner) -> None:
    samples = Path(__file__).parents[2] / "grader" / "samples"
    assert isolated_runner.run(f"import os; result = os.listdir({str(samples)!r})") == []
    assert isolated_runner.run("from grader.harness import serve; result = serve.__file__").endswith("serve.py")


def test_only_the_scratch_folder_is_writable(isolated_runner: SandboxRunner) -> None:
    result = isolated_runner.run(
        "import os, sys, tempfile, torch\n"
        "result = []\n"
        "library = os.path.dirname(torch.__file__)\n"
        "for folder in ('/', '/usr', '/etc', '/dev', '/proc', '/proc/self', sys.prefix, library):\n"
        "    try:\n"
        "        open(folder + '/planted', 'w').close()\n"
        "        result.append(folder)\n"
        "    except OSError:\n"
        "        pass\n"
        "with tempfile.NamedTemporaryFile() as file: result.append(file.name.split('/')[1])\n"
        "result.append(os.getcwd())"
    )
    assert result == ["scratch", "/scratch/work"]


def test_other_processes_are_not_there(isolated_runner: SandboxRunner) -> None:
    result = isolated_runner.run(
        "import os\n"
        f"try:\n    os.kill({os.getpid()}, 0); alive = True\nexcept OSError:\n    alive = False\n"
        "result = (sorted(int(n) for n in os.listdir('/proc') if n.isdigit()), os.getpid(), os.getuid(), alive)"
    )
    assert result == ([1], 1, 1000, False)


def test_killing_all_processes_kills_only_the_kernel(sandbox_runner: SandboxRunner, sandbox_server: object) -> None:
    for group in (-1, 0):
        assert sandbox_runner.attempt(f"os.kill({group}, 15)") in (None, "PermissionError", "ProcessLookupError")
    assert sandbox_runner.run("result = 2") == 2


def test_the_loopback_of_the_machine_is_out_of_reach(sandbox_runner: SandboxRunner) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        result = sandbox_runner.attempt(f"socket.create_connection(('127.0.0.1', {port}), 2) and 'connected'")
    assert result != "connected"


def test_unix_sockets_of_the_machine_are_out_of_reach(sandbox_runner: SandboxRunner, sandbox_secret: Path) -> None:
    name = f"grader-test-{os.getpid()}"
    path = str(sandbox_secret.parent / "s")
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as named:
        abstract.bind(f"\0{name}")
        abstract.listen()
        named.bind(path)
        named.listen()
        for address in (f"\0{name}", path):
            expression = f"socket.socket(socket.AF_UNIX).connect({address!r}) or 'connected'"
            result = sandbox_runner.attempt(expression)
            assert result != "connected"


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_ALG", "AF_VSOCK"])
def test_no_other_sockets_can_be_made(sandbox_runner: SandboxRunner, family: str) -> None:
    result = sandbox_runner.run(
        "import socket\n"
        f"try:\n    socket.socket(socket.{family}); result = 'made'\n"
        "except OSError as error:\n    result = error.errno"
    )
    assert result == 97  # EAFNOSUPPORT


@pytest.mark.parametrize(
    "name",
    [
        "ptrace",
        "mount",
        "unshare",
        "setns",
        "keyctl",
        "add_key",
        "bpf",
        "userfaultfd",
        "io_uring_setup",
        "perf_event_open",
        "process_vm_readv",
        "pivot_root",
        "chroot",
        "open_by_handle_at",
        "memfd_create",
        "seccomp",
        "personality",
    ],
)
def test_system_calls_are_refused(sandbox_runner: SandboxRunner, name: str) -> None:
    from grader.sandbox.syscalls import DENIED, native_number

    number = native_number(DENIED[name])
    assert sandbox_runner.run(_CALL + f"result = call({number}, 0, 0, 0, 0, 0)") == (-1, 1)


def test_new_namespaces_and_unknown_calls_are_refused(sandbox_runner: SandboxRunner) -> None:
    clone, clone3 = (220, 435) if os.uname().machine == "aarch64" else (56, 435)
    assert sandbox_runner.run(_CALL + f"result = call({clone}, 0x10000000 | 17, 0, 0, 0, 0)") == (-1, 1)
    assert sandbox_runner.run(_CALL + f"result = call({clone3}, 0, 0)") == (-1, 38)
    assert sandbox_runner.run(_CALL + "result = call(5000)") == (-1, 38)


def test_the_layers_cannot_be_removed(sandbox_runner: SandboxRunner) -> None:
    result = sandbox_runner.run(
        _CALL + "import resource\nresult = [libc.prctl(1, 0, 0, 0, 0), libc.prctl(38, 0, 0, 0, 0)]\n"
        "try:\n    resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6))\n"
        "except (OSError, ValueError) as error:\n    result.append(type(error).__name__)\n"
        "try:\n    os.setuid(0)\nexcept OSError as error:\n    result.append(type(error).__name__)"
    )
    assert result[:2] == [-1, -1]
    assert result[2] in ("ValueError", "PermissionError")
    assert result[3] in ("OSError", "PermissionError")
