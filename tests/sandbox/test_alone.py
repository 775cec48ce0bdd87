"""The sandbox knows nothing of graders: a copy of its folder works in another project."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import grader.sandbox
from grader.sandbox import ForkServer

SCRIPT = """
import asyncio, json, sys

sys.path.insert(0, sys.argv[1])
sys.modules["grader"] = None  # as if it was not installed

from confined import Bounds, ForkServer, start_forked_kernel

async def main():
    with ForkServer() as server:
        async with start_forked_kernel(server, Bounds(memory_mib=512)) as kernel:
            await kernel.client.execute("import os, sys", reply=True, timeout=20)
            expressions = {
                "answer": "6 * 7",
                "channel": "os.environ['KERNEL_CHANNEL'][:3]",
                "foreign": "[name for name in sys.modules if name.partition('.')[0] in ('grader', 'torch')]",
            }
            reply = await kernel.client.execute("", reply=True, timeout=20, user_expressions=expressions)
            results = reply["content"]["user_expressions"]
            values = {name: eval(result["data"]["text/plain"]) for name, result in results.items()}
            print(json.dumps({"layers": kernel.layers, **values}))

asyncio.run(main())
"""


def test_a_copy_works_without_the_grader(sandbox_server: ForkServer, tmp_path: Path) -> None:
    """Only the imports within the folder are rewritten; nothing else in it has the grader's name."""
    copy = tmp_path / "confined"
    copy.mkdir()
    for path in Path(grader.sandbox.__file__).parent.glob("*.py"):
        text = re.sub(r"^( *(?:from|import)) grader\.sandbox\b", r"\1 confined", path.read_text(), flags=re.MULTILINE)
        assert "grader" not in text.lower(), path.name
        (copy / path.name).write_text(text)

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd="/", capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["answer"], result["channel"], result["foreign"]) == (42, "fd:", [])
    assert result["layers"] == list(sandbox_server.layers)
