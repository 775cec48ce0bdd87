"""The notebooks that students push, the same for every platform."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT, handed_in

INJECTION = (
    "::error title=forged::owned\n::add-mask::a\n::set-output name=exit-code::0\n##[error]owned\n::stop-commands::x"
)
WRONG = "# %%\ndef grad_z1(da1, z1):\n    return da1\n"
HANGING = "# %%\ndef grad_b1(dz1):\n    while True:\n        pass\n"
HOSTILE = f"""# %%
import os, sys
INJECTION = {INJECTION!r}
print(INJECTION, file=sys.stderr)
os.write(1, INJECTION.encode())
for name, path in os.environ.items():
    if name.startswith("GITHUB"):
        open(path, "a").write("exit-code=0\\n")

# %%
def grad_w1(x, dz1):
    found = {{name: value for name, value in os.environ.items() if "GITHUB" in name or "SEED" in name}}
    raise ValueError("\\n" + INJECTION + "\\n" + str(found))

# %%
def grad_b1(dz1):
    raise type("\\n::error::owned", (Exception,), {{}})("%0A::error::owned\\r::error::owned")
"""


@pytest.fixture
def installed() -> str:
    """The variable `PATH`, with the `grader` that starts as everywhere."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A student's repository, with a notebook for each kind of submission."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, answers in {"perfect": "", "wrong": WRONG, "hanging": HANGING, "hostile": HOSTILE}.items():
        nbformat.write(handed_in(answers), folder / f"{name}.ipynb")
    shutil.copy(ROOT / "assignments" / "two_layer_mse" / "two_layer_mse.ipynb", folder / "blank.ipynb")
    text = (folder / "wrong.ipynb").read_text(encoding="utf-8")
    (folder / "cut.ipynb").write_text(text[: len(text) // 2], encoding="utf-8")
    return folder
