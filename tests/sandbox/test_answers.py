"""No answer that ships with the grader can be read from inside the sandbox, however the grader was installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader.sandbox import ForkServer, Level, level_of

ROOT = Path(__file__).parents[2]

SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from grader import shipped
from grader.execution.kernels import start_kernel
from grader.model import Limits

CELL = '''
import os
readable, shown = [], []
for path in ANSWERS:
    try:
        readable.append((path, len(open(path, "rb").read())))
    except OSError:
        pass
for top in TOPS:
    for folder, _, names in os.walk(top):
        shown += [os.path.join(folder, name) for name in names if name.endswith(".md") and "solution" in folder]
import grader.harness.serve
'''

async def search():
    files = [path for folder in shipped.answers() for path in folder.rglob("*") if path.is_file()]
    names = sorted({str(both) for path in files for both in (path, path.resolve())})
    tops = sorted({str(shipped.PACKAGE), str(shipped.PACKAGE.parent)})
    cell = CELL.replace("ANSWERS", repr(names)).replace("TOPS", repr(tops))
    async with start_kernel(Limits()) as kernel:
        reply = await kernel.client.execute(
            cell, reply=True, timeout=60, user_expressions={"found": "__import__('json').dumps([readable, shown])"}
        )
    found = reply["content"].get("user_expressions", {}).get("found", reply["content"])
    return {"package": str(shipped.PACKAGE), "answers": names, "found": found}

print(json.dumps(asyncio.run(search())))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked into a folder of packages, which is all that an installation does with it."""
    built = tmp_path_factory.mktemp("built")
    command = ["wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(built)]
    subprocess.run([sys.executable, "-m", "pip", *command, str(ROOT)], check=True, capture_output=True)
    folder = tmp_path_factory.mktemp("installed") / "lib" / "site-packages"
    folder.mkdir(parents=True)
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("kind", ["repository", "wheel"])
def test_no_answer_can_be_read(
    kind: str, tmp_path: Path, sandbox_server: ForkServer, request: pytest.FixtureRequest
) -> None:
    """Every file with an answer in it is tried by its path, and the folders around it are searched."""
    if level_of(sandbox_server.layers) < Level.FILTERED:
        pytest.skip(f"files are not kept from students here: {sandbox_server.layers}")
    folder = ROOT if kind == "repository" else request.getfixturevalue("wheel")
    folder.parent.chmod(0o755)

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["package"] == str(folder / "grader")
    solutions = "bundled/solutions" if kind == "wheel" else "solutions"
    assert any(name.endswith(f"{solutions}/two_layer_mse.md") for name in result["answers"])
    assert any("samples/two_layer_mse/perfect.py" in name for name in result["answers"])
    assert result["found"]["status"] == "ok", result["found"]
    assert json.loads(eval(result["found"]["data"]["text/plain"])) == [[], []]
