"""The page of a class of a thousand students, opened from a file in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.classroom.overview import build_overview
from grader.classroom.page import render_overview
from grader.classroom.records import Owner, Problem
from grader.model import Flag
from tests.classroom.class_samples import entry_of, large_class, received_of

ROWS = "#table tbody tr:not([hidden])"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    problems = [
        Problem("essay.pdf", "This is not a notebook.", Owner("canvas", "9")),
        Problem("a", "b", is_serious=False),
    ]
    overview = build_overview(large_class(), problems, title="A network", facts=[("Assignment", "two_layer_mse")])
    target = tmp_path_factory.mktemp("class") / "index.html"
    target.write_text(render_overview(overview), encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def page(browser: Any, path: Path) -> Iterator[Any]:
    """
    The page, which takes seconds to open. Tests leave the table unfiltered, and in its order.

    The last test fails on a console message, a page error, or a request for anything except the file.
    """
    context = browser.new_context()
    opened = context.new_page()
    complaints, requests = [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(path.as_uri())
    yield opened
    context.close()
    assert not complaints
    assert set(requests) == {path.as_uri()}


def seconds_of_a_sort(head: Any) -> float:
    started = time.monotonic()
    head.locator("button").click()
    return time.monotonic() - started


def column(page: Any, number: int) -> list[str]:
    return page.eval_on_selector_all(f"{ROWS} > :nth-child({number})", "cells => cells.map(c => c.textContent)")


def test_failures_of_the_grader_come_first(page: Any) -> None:
    assert page.inner_text("main h2") == "The grader failed"


def test_the_table_can_be_sorted(page: Any) -> None:
    """By number and by text, in both directions; screen readers know the order, too."""
    head = page.locator("#table thead th", has_text="Points")
    assert min(seconds_of_a_sort(head) for _ in range(3)) < 5  # a busy machine may disturb each of them
    points = [float(text) for text in column(page, 3) if text != "–"]
    assert points == sorted(points)
    assert len(points) == 998
    assert column(page, 3)[:2] == ["–", "–"]
    assert head.get_attribute("aria-sort") == "ascending"

    head.locator("button").click()
    points = [float(text) for text in column(page, 3) if text != "–"]
    assert points == sorted(points, reverse=True)

    page.locator("#table thead th", has_text="Student").locator("button").focus()
    page.keyboard.press("Enter")
    assert [int(text) for text in column(page, 1)] == [4000 + 7 * number for number in range(1000)]
    assert head.get_attribute("aria-sort") is None


def test_the_table_can_be_filtered(page: Any) -> None:
    """By text, by a tag, by both, and by one click on a diagnosis."""
    page.fill("#find", "NAME99")
    assert page.locator(ROWS).count() == 11
    assert page.inner_text("#shown") == "11 of 1000 shown"

    page.fill("#find", "")
    late = page.locator("#show option", has_text="late (")
    page.select_option("#show", late.get_attribute("value"))
    shown = page.locator(ROWS).count()
    assert f"late ({shown})" in late.text_content()
    assert all("late" in remarks for remarks in column(page, 11))

    first = page.locator(".group").first
    first.locator("button").click()
    assert page.locator(ROWS).count() == int(first.locator(".count").inner_text())

    page.fill("#find", "")
    page.select_option("#show", index=0)
    assert page.locator(ROWS).count() == 1000


def test_the_page_links_to_the_reports(page: Any) -> None:
    first = page.locator(".group").first
    assert first.locator("a").first.get_attribute("href").endswith(".html#exercise-grad_yhat")
    first.locator("summary").click()
    assert first.locator(".names a").count() == int(first.locator(".count").inner_text())
    assert page.locator(f"{ROWS} a").first.get_attribute("href") == "4000.html"


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_fits_the_window(browser: Any, path: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    opened = context.new_page()
    opened.goto(path.as_uri())

    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_without_scripts_the_whole_table_is_there(browser: Any, path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(path.as_uri())

    assert opened.locator("#table tbody tr").count() == 1000
    assert not opened.locator("#find").is_visible()
    context.close()


@pytest.mark.parametrize(("width", "is_whole"), [(1280, True), (1024, True), (390, False)])
def test_the_last_column_can_be_seen(browser: Any, tmp_path: Path, width: int, is_whole: bool) -> None:
    """With seven exercises, on a laptop at once; on a phone by scrolling, and then it is still beside the student."""
    received = received_of("homework-3-of-ada-lovelace", display="Augusta Ada King-Noel", is_late=True)
    flag = Flag(id="source_mentions_autograd", exercise="grad_w1", evidence="grad_w1 mentions it.")
    entries = [*large_class(9), entry_of("ada", "grad_w1:transposed", received=received, flags=(flag,))]
    target = tmp_path / "index.html"
    overview = build_overview(entries, [], title="A network", facts=[])
    target.write_text(render_overview(overview), encoding="utf-8")
    opened = browser.new_page(viewport={"width": width, "height": 900})
    opened.goto(target.as_uri())

    inside, whole = opened.evaluate("[table.parentElement.clientWidth, table.scrollWidth]")
    assert (whole <= inside) is is_whole
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    opened.evaluate("table.parentElement.scrollLeft = 1e6")
    opened.wait_for_timeout(50)
    edges = "c => [c.getBoundingClientRect().left, c.getBoundingClientRect().right]"
    student, last = (opened.locator(f"#table tbody tr:last-child > :{which}-child") for which in ("first", "last"))
    assert 0 <= student.evaluate(edges)[0] < student.evaluate(edges)[1] <= last.evaluate(edges)[0]
    assert last.evaluate(edges)[1] <= width
    opened.close()
