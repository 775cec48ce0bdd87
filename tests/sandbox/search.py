"""For other interpreters, users and places: starts a kernel, and has it look for a text in all that it can read."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from grader import shipped
from grader.execution.warm import OWN
from grader.sandbox import Bounds, ForkServer, SandboxUnavailable, level_of, start_forked_kernel

CELL = """
import json, os, sys
found, by_path, looked_into = [], [], 0
def look(path):
    global looked_into
    try:
        with open(path, "rb") as file:
            content = file.read(1 << 20)
    except OSError:
        return False
    looked_into += 1
    return MARKER.encode() in content
seen = set()
for top in dict.fromkeys(TOPS):
    if top in seen:
        continue
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if (path := os.path.join(folder, name)) not in SKIPPED | seen]
        seen.add(folder)
        found += [path for name in names if look(path := os.path.join(folder, name))]
def opened(*arguments, **options):
    try:
        number = os.open(*arguments, **options)
    except (OSError, ValueError):
        return False
    content = b""
    try:
        content = os.read(number, 1 << 20)
    except OSError:
        try:  # a descriptor that stands only for the path
            content = open(f"/proc/self/fd/{number}", "rb").read()
        except OSError:
            pass
    finally:
        os.close(number)
    return MARKER.encode() in content
def around(path):
    folder, name = os.path.split(path)
    for number, to in enumerate((path, folder)):
        try:
            os.path.lexists(f"link{number}") and os.unlink(f"link{number}")
            os.symlink(to, f"link{number}")
            os.link(path, f"hard{number}")
        except OSError:
            pass
    for root in ("/proc/self/root", "/proc/1/root", "/proc/thread-self/root", "/proc/self/task/1/root",
                 "/proc/self/cwd", "/proc/1/cwd/../..", "/dev/fd/../../..", "//", "/.//", "/usr/../..",
                 "/proc/self/fd/0/.."):
        yield f"{root}{path}"
    yield from ("link0", f"link1/{name}", "hard0", "hard1", f"{folder}/../{os.path.basename(folder)}/{name}")
    yield os.path.relpath(path)
for path in PATHS:
    if look(path) or any(map(look, around(path))):
        by_path.append(path)
    relative = path.lstrip("/")
    for number in range(64):
        if any(opened(f"{ups}{relative}", os.O_RDONLY, dir_fd=number) for ups in ("", "../", "../" * 9)):
            by_path.append(f"{path} from {number}")
    if opened(path, os.O_PATH) or opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK):
        by_path.append(f"{path} by a descriptor")
from importlib.util import find_spec
from grader import shipped
assert find_spec("grader.harness.serve").origin.endswith(".py")
packages = []
if IMPORTS:
    import grader.harness.serve
    from grader.assignment.load import load_assignment
    try:
        loaded = load_assignment(shipped.solutions() / "two_layer_mse.md").id
    except OSError:
        loaded = ""
    from grader import check, load_mnist
    get_ipython().run_line_magic("load_ext", "grader")
    packages = [loaded, len(load_mnist("test")[0]), type(check).__module__]
result = {"found": found, "by_path": by_path, "looked_into": looked_into, "packages": packages,
          "package": shipped.__file__}
"""


async def search(server: ForkServer, asked: dict[str, object]) -> dict[str, object]:
    cell = "".join(f"{name} = {value!r}\n" for name, value in eval(asked["names"]).items()) + CELL
    told = [Path(path) for path in asked["told"]]
    try:
        async with start_forked_kernel(server, Bounds(memory_mib=1024, cpu_s=60), secrets=told) as kernel:
            reply = await kernel.client.execute(
                cell, reply=True, timeout=60, user_expressions={"result": "json.dumps(result)"}
            )
            content = reply["content"]
            if content["status"] != "ok":
                return {"error": f"{content['ename']}: {content['evalue']}"}
            found = json.loads(eval(content["user_expressions"]["result"]["data"]["text/plain"]))
            return {"level": level_of(kernel.layers).label, **found}
    except SandboxUnavailable as refusal:
        return {"refusal": str(refusal)}


asked = json.loads(sys.argv[1])
packages = ["torch", "numpy", "matplotlib"]
with ForkServer(packages=packages, own=OWN, secrets=shipped.answers()) as server:
    results = asyncio.run(search(server, asked))
json.dump(results, sys.stdout)
