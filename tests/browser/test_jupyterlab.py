"""A student at work: a real JupyterLab, a blank filled in, `check` run, the verdict read."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

LAB = Path(sys.prefix) / "jupyterlab" / "bin" / "python"
pytestmark = pytest.mark.skipif(not LAB.exists(), reason="`make test` installs a JupyterLab, apart from all else")

NOTEBOOK = "two_layer_mse.ipynb"
BADGE = ".grader-check .badge"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A JupyterLab of its own, with the released notebook in it; where it is reached."""
    shutil.copy(ROOT / "assignments" / "two_layer_mse" / NOTEBOOK, tmp_path)
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # All cells are in the page, also those out of sight.
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kernel = tmp_path / "share" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python", "language": "python"}))
    command = [str(LAB), "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [
        "--KernelSpecManager.ensure_native_kernel=False",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    own = {"HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"}
    environment = os.environ | dict.fromkeys(own, str(tmp_path / "home"))
    environment |= {"JUPYTER_PATH": str(tmp_path / "share")}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, server)
        yield url
    finally:
        server.terminate()  # it ends its kernels
        server.wait(timeout=20)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert server.poll() is None, "JupyterLab did not start"
        try:
            with urllib.request.urlopen(f"{url}/api", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail("JupyterLab does not answer")


def fill(page: Any, old: str, new: str) -> None:
    """Put another line in the place of one in a cell."""
    line = page.locator(".jp-CodeCell .cm-line", has_text=old)
    line.click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.insert_text(new)


@pytest.mark.slow
def test_a_blank_is_filled_in_and_checked(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(20_000)
    page.goto(f"{address}/doc/tree/{NOTEBOOK}")
    page.locator("[data-status=idle]").first.wait_for()

    fill(page, "grad_yhat is still blank", "return 2 * (yhat - y)")
    fill(page, "dyhat.shape", "check(grad_yhat)")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(BADGE, has_text="Wrong values").wait_for()

    said = page.locator(".grader-check").inner_text()
    assert "To think about:" in said
    assert "(64, 1)" in said
    assert page.locator(".grader-check img").first.evaluate("each => each.naturalWidth") > 0

    fill(page, "return 2 * (yhat - y)", "return 2 * (yhat - y) / len(y)")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    page.locator(BADGE, has_text="Right").wait_for()

    assert page.locator(BADGE).evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(23, 113, 63)"
    page.close()
