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
for path in PATHS:
    if look(path):
        by_path.append(path)
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
