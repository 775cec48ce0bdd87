"""
For processes of other users and in other places: has a kernel reach for a process outside, and prints JSON.

It tries every system call that takes a process's id, and for its own children the functions that honest code uses.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from grader.sandbox import Bounds, ForkServer, level_of, start_forked_kernel

# The number of each call on x86_64 and aarch64, and its arguments; V is the victim, S a buffer, N a null pointer.
CALLS = {
    "kill": (62, 129, "V, 9"),
    "kill its group": (62, 129, "-V, 9"),
    "kill everything": (62, 129, "-1, 15"),
    "tkill": (200, 130, "V, 9"),
    "tgkill": (234, 131, "V, V, 9"),
    "rt_sigqueueinfo": (129, 138, "V, 9, S"),
    "rt_tgsigqueueinfo": (297, 240, "V, V, 9, S"),
    "pidfd_open": (434, 434, "V, 0"),
    "pidfd_send_signal": (424, 424, "PROC, 9, N, 0"),
    "pidfd_getfd": (438, 438, "PROC, 0, 0"),
    "prlimit64": (302, 261, "V, 7, L, N"),
    "prlimit64 that reads": (302, 261, "V, 7, N, S"),
    "sched_setaffinity": (203, 122, "V, 8, ONE"),
    "sched_getaffinity": (204, 123, "V, 128, S"),
    "sched_setscheduler": (144, 119, "V, 5, S"),
    "sched_getscheduler": (145, 120, "V"),
    "sched_setparam": (142, 118, "V, S"),
    "sched_getparam": (143, 121, "V, S"),
    "sched_setattr": (314, 274, "V, ATTR, 0"),
    "sched_getattr": (315, 275, "V, S, 56, 0"),
    "sched_rr_get_interval": (148, 127, "V, S"),
    "setpriority": (141, 140, "0, V, 19"),
    "setpriority of its group": (141, 140, "1, V, 19"),
    "setpriority of its user": (141, 140, "2, USER, 19"),
    "getpriority": (140, 141, "0, V"),
    "ioprio_set": (251, 30, "1, V, 3 << 13"),
    "ioprio_set of its group": (251, 30, "2, V, 3 << 13"),
    "ioprio_set of its user": (251, 30, "3, USER, 3 << 13"),
    "ioprio_get": (252, 31, "1, V"),
    "get_robust_list": (274, 100, "V, S, S"),
    "setpgid": (109, 154, "V, 0"),
    "getpgid": (121, 155, "V"),
    "getsid": (124, 156, "V"),
    "ptrace": (101, 117, "16, V, 0, 0"),
    "ptrace that seizes": (101, 117, "0x4206, V, 0, 0"),
    "process_vm_readv": (310, 270, "V, S, 1, S, 1, 0"),
    "process_vm_writev": (311, 271, "V, S, 1, S, 1, 0"),
    "kcmp": (312, 272, "V, V, 0, 0, 0"),
    "migrate_pages": (256, 238, "V, 64, S, S"),
    "move_pages": (279, 239, "V, 0, N, N, N, 0"),
    "perf_event_open": (298, 241, "PERF, V, -1, -1, 0"),
    "process_madvise": (440, 440, "PROC, S, 1, 20, 0"),
    "process_mrelease": (448, 448, "PROC, 0"),
    "core scheduling": (157, 167, "62, 2, V, 0, 0"),
    "F_SETOWN": (72, 25, "PIPE, 8, V"),
    "F_SETOWN of its group": (72, 25, "PIPE, 8, -V"),
    "F_SETOWN_EX": (72, 25, "PIPE, 15, OWNER"),
    "FIOSETOWN": (16, 29, "PAIR, 0x8901, OWNER32"),
    "SIOCSPGRP": (16, 29, "PAIR, 0x8902, OWNER32"),
}

CODE = """
import asyncio, ctypes, json, multiprocessing, os, platform, resource, select, signal, socket, struct, subprocess
import sys, threading, time
V, USER = VICTIM, os.getuid()
libc = ctypes.CDLL(None, use_errno=True)
N = None
S = ctypes.create_string_buffer(4096)
L = ctypes.create_string_buffer(struct.pack("QQ", 64, 64))
ONE = ctypes.create_string_buffer(struct.pack("Q", 1))
ATTR = ctypes.create_string_buffer(struct.pack("IIQiIQQQ", 48, 3, 0, 0, 0, 0, 0, 0))
PERF = ctypes.create_string_buffer(struct.pack("II", 1, 112) + bytes(112))
OWNER = ctypes.create_string_buffer(struct.pack("ii", 1, V))
OWNER32 = ctypes.create_string_buffer(struct.pack("i", V))
PIPE, PAIR = os.pipe()[0], socket.socketpair()[0].detach()
try:
    PROC = os.open(f"/proc/{V}", os.O_RDONLY)
except OSError:
    PROC = -1
def tried(x86, arm, *arguments):
    ctypes.set_errno(0)
    number = arm if platform.machine() == "aarch64" else x86
    value = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return os.strerror(ctypes.get_errno()) if value == -1 else "reached"
result = {}
honest = {}
def attempt(name, what):
    try:
        honest[name] = what()
    except BaseException as error:
        honest[name] = f"{type(error).__name__}: {error}"
def sleeper():
    return subprocess.Popen(["sleep", "60"], start_new_session=True)
def ended(child):
    return child.wait(10)
def a_killed_group():
    child = sleeper()
    os.killpg(child.pid, 9)
    return ended(child)
def a_terminated_child():
    child = sleeper()
    child.terminate()
    return ended(child)
def a_grandchild():
    child = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
    grandchild = int(child.stdout.readline())
    os.kill(grandchild, 9)
    return child.wait(10) >= 0
def an_orphan():
    orphan = int(subprocess.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], capture_output=True).stdout)
    os.kill(orphan, 0)
    os.kill(orphan, 9)
    return True
def an_ended_child():
    child = subprocess.Popen(["true"])
    child.wait()
    os.kill(child.pid, 0)
def a_terminated_process():
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(10)
    return process.exitcode
def a_child_that_is_looked_after():
    child = sleeper()
    descriptor = os.pidfd_open(child.pid)
    os.kill(child.pid, 9)
    return bool(select.select([descriptor], [], [], 10)[0]) and ended(child)
def a_nicer_child():
    child = sleeper()
    os.setpriority(os.PRIO_PROCESS, child.pid, 5)
    value = os.getpriority(os.PRIO_PROCESS, child.pid)
    child.kill()
    return value
def limits_of_a_child():
    child = sleeper()
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (64, 64))
    value = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
    child.kill()
    return value
def a_signal_in_a_thread():
    got = []
    signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    os.kill(os.getpid(), 0)
    return len(got) >= 1
def psutil_of_itself():
    import psutil
    process = psutil.Process()
    process.nice(process.nice()); process.cpu_affinity(process.cpu_affinity()); process.ionice(process.ionice().ioclass)
    return process.rlimit(psutil.RLIMIT_NOFILE) == resource.getrlimit(resource.RLIMIT_NOFILE)
def a_limit_of_itself():
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
    return os.nice(0) >= 0 and len(os.sched_getaffinity(0)) >= 1
def a_daemon_with_another_name():
    child = os.fork()
    if not child:
        libc.prctl(15, b"\\xff\\xfe) 1 1 (")
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(600)
    os.waitpid(child, 0)
    return True
def by_asyncio():
    async def run():
        child = await asyncio.create_subprocess_exec("sleep", "60")
        child.kill()
        return await child.wait()
    values = []
    thread = threading.Thread(target=lambda: values.append(asyncio.run(run())))
    thread.start()
    thread.join()
    return values[0]
for what in (a_killed_group, a_terminated_child, a_grandchild, an_orphan, an_ended_child, a_terminated_process,
             a_child_that_is_looked_after, a_nicer_child, limits_of_a_child, a_signal_in_a_thread, psutil_of_itself,
             a_limit_of_itself, by_asyncio, a_daemon_with_another_name):
    attempt(what.__name__, what)
"""


async def _attempt(server: ForkServer, victim: int) -> dict[str, object]:
    lines = [f"result[{name!r}] = tried({x86}, {arm}, {what})\n" for name, (x86, arm, what) in CALLS.items()]
    code = CODE.replace("VICTIM", str(victim)) + "signal.signal(15, signal.SIG_IGN)\n" + "".join(lines)
    async with start_forked_kernel(server, Bounds(memory_mib=512, processes=32, scratch_mib=16)) as kernel:
        reply = await kernel.client.execute(
            code,
            reply=True,
            timeout=60,
            user_expressions={"calls": "json.dumps(result)", "honest": "json.dumps(honest)"},
        )
        layers = kernel.layers
    content = reply["content"]
    if content["status"] != "ok":
        return {"problem": content["evalue"]}
    values = {
        name: json.loads(eval(value["data"]["text/plain"])) for name, value in content["user_expressions"].items()
    }
    return {"layers": layers, "level": level_of(layers).label, **values}


def _state(process: int) -> list[str]:
    """What a call from outside could change."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    limits = Path(f"/proc/{process}/limits").read_text()
    allowed = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("Cpus_all")]
    return [fields[0], fields[2], fields[3], fields[15], fields[16], fields[38], limits, *allowed]


with subprocess.Popen(["sleep", "300"], start_new_session=True) as bystander:
    time.sleep(0.2)
    try:
        with ForkServer(preload="torch", packages=["torch"]) as warm:
            before = _state(bystander.pid)
            outcome = asyncio.run(_attempt(warm, bystander.pid))
            outcome["is_unharmed"] = bystander.poll() is None and _state(bystander.pid) == before
            time.sleep(0.3)
            names = {path: path.read_bytes() for path in Path("/proc").glob("[0-9]*/comm") if path.exists()}
            outcome["is_alone"] = not any(name.startswith(b"\xff\xfe") for name in names.values())
            outcome["user"] = os.getuid()
    finally:
        bystander.kill()
sys.stdout.write(json.dumps(outcome))
