"""A page that a student's process made, in the frame in which `grader check` shows it."""

from __future__ import annotations

import select
import socket
from pathlib import Path
from typing import Any

from grader.reports.html import render_frame, render_html
from tests.report_samples import SAMPLES


def test_the_page_is_visible_but_cannot_run_or_load_anything(browser: Any, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    report = render_html(SAMPLES["mixed"]())
    hostile = report.replace(
        "<main ",
        "<script>parent.document.title = document.title = 'taken'</script>"
        f"<img src='http://127.0.0.1:{listener.getsockname()[1]}/'><main ",
    ).replace('<meta http-equiv="Content-Security-Policy"', "<meta")
    path = tmp_path / "framed.html"
    path.write_text(render_frame(hostile, title="mine"), encoding="utf-8")
    page = browser.new_page()

    page.goto(path.as_uri())

    inside = page.frame_locator("iframe")
    inside.get_by_role("heading", level=1).wait_for()
    link = inside.get_by_role("link").nth(1)
    link.click()
    assert inside.locator(":target").count() == 1
    assert inside.locator("body").evaluate("body => getComputedStyle(body).marginTop") == "0px"
    assert page.title() == "mine"
    assert select.select([listener], [], [], 0.5)[0] == [], "nothing is loaded"
    page.close()
    listener.close()


def test_all_of_the_page_is_printed(browser: Any, tmp_path: Path) -> None:
    """As many sheets as without a frame, or nearly, and everything in it is unfolded; then it is as before."""
    report = render_html(SAMPLES["mixed"]())
    sheets = []
    for name, content in (("framed", render_frame(report, title="mine")), ("alone", report)):
        path = tmp_path / f"{name}.html"
        path.write_text(content, encoding="utf-8")
        page = browser.new_page()
        page.goto(path.as_uri())
        sheets.append(page.pdf(format="A4").count(b"/Type /Page\n"))
        page.close()

    assert sheets[1] > 5
    assert abs(sheets[0] - sheets[1]) <= 2
