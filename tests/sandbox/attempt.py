"""For processes of other users and in other places: starts a kernel, has it try what it must not do, prints JSON."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from grader.sandbox import Bounds, ForkServer, level_of, start_forked_kernel

CODE = """
import os, socket, ctypes, subprocess
result = {}
def attempt(name, what):
    try:
        result[name] = repr(what())[:80]
    except BaseException as error:
        result[name] = type(error).__name__
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("passwd", lambda: "root" in open("/etc/passwd").read())
attempt("parent_environment", lambda: open("/proc/PARENT/environ").read())
attempt("solutions", lambda: os.listdir("REPOSITORY/solutions") and open("REPOSITORY/pyproject.toml").read())
attempt("kill_parent", lambda: os.kill(PARENT, 0))
attempt("kill_group", lambda: os.kill(0, 0))
attempt("loopback", lambda: socket.socket())
attempt("plant", lambda: open("/tmp/planted-by-a-kernel", "w").close() or os.path.realpath("/tmp"))
def all_changes():
    made = 0
    for change in (
        lambda: os.chmod("VICTIM", 0), lambda: os.chmod("VICTIM/file", 0), lambda: os.utime("VICTIM/file", (0, 0)),
        lambda: os.setxattr("VICTIM/file", "user.a", b"1"), lambda: os.chown("VICTIM", -1, os.getgid()),
        lambda: os.truncate("VICTIM/file", 0), lambda: os.open("VICTIM/file", os.O_RDONLY | os.O_TRUNC),
        lambda: os.rename("VICTIM/file", "file"), lambda: os.unlink("VICTIM/file"), lambda: os.link("VICTIM/file", "f"),
        lambda: os.symlink("x", "VICTIM/link"),
    ):
        try:
            change()
        except OSError:
            pass
def a_datagram():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        for end in socket.socketpair(socket.AF_UNIX, kind):
            end.sendto(b"heard", "VICTIM/socket")
def a_watch():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.inotify_add_watch(libc.inotify_init1(0), b"VICTIM", 0xfff) < 0:
        raise OSError(ctypes.get_errno(), "no watch")
attempt("changes", all_changes)
attempt("datagram", a_datagram)
attempt("watch", a_watch)
attempt("write", lambda: open("mine", "w").write("x"))
attempt("fork", lambda: os.waitpid(os.fork() or os._exit(3), 0)[1])
attempt("user", lambda: (os.getuid(), os.geteuid()))
attempt("import", lambda: __import__("wsgiref.handlers").__name__)
"""

OUTLIVE = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        __import__("time").sleep(60)
    os._exit(0)
"""


LEAVE = """
here = os.getcwd()
for _ in range(2000):
    os.mkdir("d")
    os.chdir("d")
os.chdir(here)
os.makedirs("closed/inner")
os.chmod("closed/inner", 0)
os.chmod("closed", 0)
"""


def _state(victim: Path) -> list[object]:
    """What a kernel could change of a folder."""
    paths = sorted((victim, *victim.iterdir()))
    return [
        (str(path), path.stat().st_mode, path.stat().st_size, path.stat().st_mtime, os.listxattr(path))
        for path in paths
    ]


async def _attempt(server: ForkServer, victim: Path) -> dict[str, object]:
    bounds = Bounds(memory_mib=512, processes=32, scratch_mib=16)
    code = CODE.replace("PARENT", str(os.getpid())).replace("REPOSITORY", sys.argv[1])
    code = code.replace("VICTIM", str(victim))
    async with start_forked_kernel(server, bounds) as kernel:
        await kernel.client.execute(code, reply=True, timeout=20)
        reply = await kernel.client.execute("", reply=True, timeout=20, user_expressions={"result": "result"})
        await kernel.client.execute(OUTLIVE, reply=True, timeout=20)
        await kernel.client.execute(LEAVE, reply=True, timeout=20)
        layers = kernel.layers
    value = eval(reply["content"]["user_expressions"]["result"]["data"]["text/plain"])
    return {"layers": layers, "level": level_of(layers).label, "result": value}


tempfile.tempdir = tempfile.mkdtemp(prefix="g-")  # short, as a socket's path must be
os.chmod(tempfile.tempdir, 0o711)  # noqa: PTH101 - the kernel may be another user
with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
    victim = Path(folder)
    (victim / "file").write_text("the user's own")
    listening.bind(str(victim / "socket"))
    listening.setblocking(False)
    before = _state(victim)
    with ForkServer(preload="torch", packages=["torch"]) as warm:
        outcome = asyncio.run(_attempt(warm, victim))
    outcome["is_unharmed"] = _state(victim) == before
    try:
        outcome["heard"] = listening.recv(100).decode()
    except BlockingIOError:
        outcome["heard"] = ""
outcome["left"] = os.listdir(tempfile.tempdir)  # noqa: PTH208 - names are enough
shutil.rmtree(tempfile.tempdir, ignore_errors=True)
sys.stdout.write(json.dumps(outcome))
