"""Fixtures: the machine's Chromium without a window, and the sample reports as files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.reports.html import render_html
from tests.report_samples import SAMPLES

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-sync",
]


@pytest.fixture(scope="module")  # and no longer, because its event loop runs all that time
def browser() -> Iterator[sync_api.Browser]:
    """Chromium, from $CHROMIUM or the search path; without it the tests are skipped."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no Chromium: install it, or name it in the variable CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sample reports, as files."""
    directory = tmp_path_factory.mktemp("reports")
    for name, build in SAMPLES.items():
        (directory / f"{name}.html").write_text(render_html(build()), encoding="utf-8")
    return directory
