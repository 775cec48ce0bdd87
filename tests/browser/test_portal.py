"""A portal in two browsers at once: a student hands in, and an instructor watches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.portal.server import ROSTER, Portal, notebook, write_course
from tests.postgresql import PROGRAMS, Server

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
WRONG = "def grad_b1(dz1):\n    return dz1.mean(0, keepdim=True)\n"
PAGE = "/assignments/two_layer_mse"
SECONDS = 60_000


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def portal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    server, variables = None, dict[str, str]()
    if request.param == "PostgreSQL":
        if PROGRAMS is None:
            pytest.skip("no PostgreSQL is installed")
        server = Server()
        variables = {"GRADER_GRADEBOOK": server.url}
    roster = f"{ROSTER}zoe,Zoë,zoe@school.example,student\n"
    made = Portal(write_course(tmp_path_factory.mktemp("course"), roster=roster), variables=variables)
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()
        if server is not None:
            server.close()


@pytest.fixture
def visit(browser: Any, portal: Portal) -> Iterator[Any]:
    """Opens a browser of its own in which somebody signs in. Any complaint of the browser's fails the test."""
    contexts, complaints = [], []

    def sign_in(student: str, **options: Any) -> Any:
        context = browser.new_context(base_url=portal.address, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(portal.link(student))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        return page

    yield sign_in
    for context in contexts:
        context.close()
    assert [text for text in complaints if "favicon" not in text and "404" not in text] == []


def upload(page: Any, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "my.ipynb"
    path.write_bytes(content)
    page.goto(PAGE)
    page.set_input_files("#file", str(path))
    page.get_by_role("button", name="Hand in").click()
    page.wait_for_url("**/attempts/*")


def examine(page: Any) -> None:
    """axe-core finds nothing to complain about. In a report it could not run: nothing can."""
    for frame in page.locator("iframe.report").element_handles():
        frame.evaluate("frame => frame.remove()")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_wrong_and_then_right(visit: Any, tmp_path: Path, scripts: bool) -> None:
    """Hand in a wrong notebook, read why, hand in a better one, and see what has changed."""
    page = visit("ada" if scripts else "ben", java_script_enabled=scripts)
    mark = str(scripts)

    upload(page, notebook(WRONG, mark=mark), tmp_path)
    page.wait_for_selector("iframe.report", timeout=SECONDS)

    assert "9 of 10" in page.locator("#attempt").inner_text()
    assert "average over the batch" in page.locator("#attempt").inner_text()
    report = page.frame_locator("iframe.report")
    assert "grad_b1" in report.locator("main").inner_text()
    upload(page, notebook("", mark=mark), tmp_path)
    page.wait_for_selector("iframe.report", timeout=SECONDS)
    changed = page.locator("tr.better")
    assert changed.count() == 1
    assert "grad_b1" in changed.inner_text()
    page.goto(PAGE)
    assert "10 of 10" in page.locator("#facts").inner_text()


def test_a_report_is_as_high_as_what_is_unfolded_in_it(visit: Any, tmp_path: Path) -> None:
    """And no higher when it is folded again; without scripts it can be scrolled."""
    page, plain = visit("ada"), visit("ada", java_script_enabled=False)
    upload(page, notebook(WRONG, mark="unfolded"), tmp_path)
    frame = page.locator("iframe.report")
    frame.wait_for(timeout=SECONDS)
    before = fitting(page)
    # From outside: the browser complains of each click that playwright watches in a frame without scripts.
    fold = "(frame, open) => frame.contentDocument.querySelectorAll('details').forEach(each => { each.open = open; })"

    frame.evaluate(fold, True)
    unfolded = fitting(page, other_than=before)
    frame.evaluate(fold, False)
    folded = fitting(page, other_than=unfolded)

    assert folded < before < unfolded
    page.set_viewport_size({"width": 390, "height": 800})
    assert fitting(page, other_than=folded) > folded
    plain.goto(page.url)
    inside = plain.frame_locator("iframe.report").locator("section").last
    inside.scroll_into_view_if_needed()
    assert inside.is_visible()


def fitting(page: Any, *, other_than: float = 0) -> float:
    """The height of the report's frame, once it is that of the report and another one than before."""
    frame, inside = page.locator("iframe.report"), page.frame_locator("iframe.report").locator("html")
    for _ in range(100):
        height = float(frame.evaluate("frame => frame.clientHeight"))
        if height != other_than and abs(height - inside.bounding_box()["height"]) < 1:
            return height
        page.wait_for_timeout(50)
    raise AssertionError((height, inside.bounding_box()))


@pytest.mark.parametrize("look", [("light", 1200), ("dark", 390)], ids=["wide and light", "phone and dark"])
def test_nothing_keeps_anybody_out(visit: Any, tmp_path: Path, look: tuple[str, int]) -> None:
    """axe-core finds nothing on any page, and no page is wider than its window."""
    scheme, width = look
    page = visit("ada", color_scheme=scheme, viewport={"width": width, "height": 800})
    upload(page, notebook(WRONG, mark=scheme), tmp_path)
    page.wait_for_selector("iframe.report", timeout=SECONDS)
    attempt = page.url
    for path in ("/", PAGE, attempt, "/attempts/999999"):
        page.goto(path)
        examine(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert hidden_cells(page) == []
    report = page.context.browser.new_page(bypass_csp=True, color_scheme=scheme)
    report.set_content(page.request.get(f"{attempt}/report.html").text())
    examine(report)
    report.close()
    page.goto("/")
    page.get_by_role("button", name="Make a key").click()
    page.wait_for_selector("text=Your key")
    examine(page)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    examine(page)


def hidden_cells(page: Any) -> list[str]:
    """The cells of tables that are not in sight without scrolling to the side."""
    found: list[str] = page.locator(".stacks td").evaluate_all(
        """all => all.filter((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            return range.getBoundingClientRect().right > cell.closest(".scroll").getBoundingClientRect().right;
        }).map((cell) => cell.textContent)"""
    )
    return found


def test_by_keyboard(visit: Any, tmp_path: Path) -> None:
    """From the first assignment to handing in without a pointer."""
    page = visit("ada")
    for _ in range(12):
        page.keyboard.press("Tab")
        if "/assignments/" in str(page.evaluate("document.activeElement.href")):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PAGE}")
    path = tmp_path / "my.ipynb"
    path.write_bytes(notebook(WRONG, mark="keyboard"))
    page.set_input_files("#file", str(path))
    page.locator("#file").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "submit":
            break
    page.keyboard.press("Enter")

    page.wait_for_url("**/attempts/*")


def test_a_dropped_file_is_handed_in(visit: Any) -> None:
    """Onto the form, as from a file manager."""
    page = visit("ada")
    page.goto(PAGE)
    content = notebook(WRONG, mark="dropped").decode()
    page.evaluate(
        """(content) => {
            const data = new DataTransfer();
            data.items.add(new File([content], "dropped.ipynb"));
            const form = document.querySelector("form.drop");
            form.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        content,
    )

    page.wait_for_url("**/attempts/*")
    assert "dropped.ipynb" in page.locator("main").inner_text()


def test_an_instructor_sees_it_without_reloading(visit: Any, portal: Portal, tmp_path: Path) -> None:
    """While a student hands in a wrong notebook and then a better one in another browser."""
    student, instructor = visit("zoe"), visit("prof")
    instructor.goto("/class/two_layer_mse")
    row = instructor.locator("tr", has_text="Zoë")

    upload(student, notebook(WRONG, mark="watched"), tmp_path)
    row.filter(has_text="9 of 10").first.wait_for(timeout=SECONDS)
    upload(student, notebook("", mark="watched"), tmp_path)
    row.filter(has_text="10 of 10").first.wait_for(timeout=SECONDS)


@pytest.mark.parametrize("look", [("light", 1200), ("dark", 390)], ids=["wide and light", "phone and dark"])
def test_the_instructors_pages(visit: Any, portal: Portal, tmp_path: Path, look: tuple[str, int]) -> None:
    """axe-core finds nothing on any of them, and none is wider than its window."""
    scheme, width = look
    student = visit("zoe")
    upload(student, notebook(WRONG, mark=f"for {scheme}"), tmp_path)
    student.wait_for_selector("iframe.report", timeout=SECONDS)
    page = visit("prof", color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto("/class/two_layer_mse")
    person = page.locator("a[href^='/class/two_layer_mse/']", has_text="Zoë").first.get_attribute("href")
    paths = ["/class", "/class/two_layer_mse", person, student.url, "/roster", "/audit", "/receipts", "/platforms"]
    for path in paths:
        page.goto(path)
        examine(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert hidden_cells(page) == []
