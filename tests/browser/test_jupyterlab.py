"""A student at work in a real JupyterLab: fills in a blank, runs `check`, and reads the verdict."""

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

from grader.submitting.saved import UserPortal, save_portal
from tests.conftest import ROOT
from tests.served_portal import ServedPortal

LAB = Path(sys.prefix) / "jupyterlab" / "bin" / "python"
pytestmark = [
    pytest.mark.skipif(not LAB.exists(), reason="`make test-slow` installs JupyterLab, in its own environment"),
    pytest.mark.xdist_group("served portal"),
]

NOTEBOOK = "two_layer_mse.ipynb"
BADGE = ".grader-check .badge"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab that serves a folder with the released notebook."""
    shutil.copy(ROOT / "assignments" / "two_layer_mse" / NOTEBOOK, tmp_path)
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # The page contains all cells, not only those in view.
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
    private = {"HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"}
    environment = os.environ | dict.fromkeys(private, str(tmp_path / "home"))
    widgets = Path(sys.prefix) / "share" / "jupyter"  # the kernel's environment has them, and the server's does not
    environment |= {"JUPYTER_PATH": f"{tmp_path / 'share'}{os.pathsep}{widgets}"}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, server)
        yield url
    finally:
        server.terminate()  # this ends its kernels, too
        server.wait(timeout=20)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "JupyterLab did not start"
        try:
            with urllib.request.urlopen(f"{url}/api", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail("JupyterLab does not answer")


def fill(page: Any, old: str, new: str) -> None:
    """Replace a line of a cell."""
    line = page.locator(".jp-CodeCell .cm-line", has_text=old)
    line.click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.insert_text(new)


@pytest.mark.slow
def test_check_shows_a_verdict_for_a_filled_blank(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(20_000)
    page.goto(f"{address}/doc/tree/{NOTEBOOK}")
    page.locator("[data-status=idle]").first.wait_for()

    fill(page, "grad_yhat is still blank", "return 2 * (yhat - y)")
    fill(page, "dyhat.shape", "check(grad_yhat)")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(BADGE, has_text="Wrong values").wait_for()

    feedback = page.locator(".grader-check").inner_text()
    assert "To think about:" in feedback
    assert "(64, 1)" in feedback
    assert page.locator(".grader-check img").first.evaluate("image => image.naturalWidth") > 0

    fill(page, "return 2 * (yhat - y)", "return 2 * (yhat - y) / len(y)")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    page.locator(BADGE, has_text="Right").wait_for()

    assert page.locator(BADGE).evaluate("badge => getComputedStyle(badge).backgroundColor") == "rgb(23, 113, 63)"
    page.close()


@pytest.mark.slow
def test_the_button_hands_in_and_shows_the_result(
    browser: Any, address: str, graded_portal: ServedPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place, from the queue to the verdicts. The browser itself speaks with nobody but Jupyter."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    save_portal(UserPortal.of(graded_portal.address, graded_portal.key("max")))
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(60_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/doc/tree/{NOTEBOOK}")
    page.locator("[data-status=idle]").first.wait_for()

    fill(page, "grad_yhat is still blank", "return 2 * (yhat - y)")
    fill(page, "dyhat.shape", "check.submit_button()")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    button = page.get_by_role("button", name="Hand in", exact=True)
    button.click()
    status = page.locator(".grader-check [role=status]")
    status.get_by_text("does not contain grad_yhat as it ran. Save the notebook first.").wait_for()

    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    while "return 2 * (yhat - y)" not in (tmp_path / NOTEBOOK).read_text(encoding="utf-8"):
        page.wait_for_timeout(50)
    button.click()
    status.get_by_text("is handed in as attempt 1 of two_layer_mse.").wait_for()
    assert button.is_disabled()
    status.get_by_text("of 10 points.").wait_for()

    assert status.locator("tr", has_text="grad_yhat").locator(".badge.wrong").inner_text() == "✗ Wrong values"
    link = status.get_by_role("link")
    assert link.get_attribute("href").startswith(f"{graded_portal.address}/attempts/")
    assert button.is_enabled()
    assert not [url for url in asked if graded_portal.address in url]
    page.close()
