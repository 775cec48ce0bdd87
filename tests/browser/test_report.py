"""The report's page in a real browser."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report_samples import SAMPLES

PHONE = {"width": 390, "height": 844}
Opener = Callable[..., Any]

CONTRASTS = """
() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const channel = value => value <= 10.31475 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const background = element => {
    for (let ancestor = element; ancestor; ancestor = ancestor.parentElement) {
      const colour = parse(getComputedStyle(ancestor).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!words || !element.checkVisibility() || element.classList.contains("unseen")) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.closest("svg") ? style.fill : style.color);
    const pair = [luminance(ink), luminance(background(element))].sort((a, b) => b - a);
    found.push([(pair[0] + 0.05) / (pair[1] + 0.05), element.tagName + "." + element.getAttribute("class")]);
  }
  return found;
}
"""


@pytest.fixture
def visit(browser: Any, folder: Path) -> Iterator[Opener]:
    """Opens a sample; the test fails on a console message, a page error, or a request for anything except the file."""
    contexts, complaints, requests = [], [], []

    def open_page(name: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith((folder.as_uri(), "data:image/png;base64,"))] == []


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_page_opens_without_complaints_and_has_landmarks(visit: Opener, name: str) -> None:
    page = visit(name)

    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(heading => Number(heading.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.eval_on_selector_all("img", "all => all.every(image => image.naturalWidth > 0)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["mixed", "odd", "unreadable"])
def test_text_has_enough_contrast(visit: Opener, name: str, scheme: str) -> None:
    """WCAG AA, 4.5 : 1, for all visible text."""
    page = visit(name, color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(details => { details.open = true })")

    found = page.evaluate(CONTRASTS)

    assert len(found) > 10
    assert [(round(ratio, 2), what) for ratio, what in found if ratio < 4.5] == []


def test_the_page_follows_the_colour_scheme(visit: Opener) -> None:
    background = "getComputedStyle(document.body).backgroundColor"

    assert visit("mixed", color_scheme="light").evaluate(background) == "rgb(248, 248, 246)"
    assert visit("mixed", color_scheme="dark").evaluate(background) == "rgb(19, 22, 25)"


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_page_fits_a_phone(visit: Opener, name: str) -> None:
    page = visit(name, viewport=PHONE)
    page.eval_on_selector_all("details", "all => all.forEach(details => { details.open = true })")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = page.eval_on_selector_all(
        "body *:not(svg *, pre *, .scroll *, .skip)",
        "(all, width) => all.filter(node => node.getBoundingClientRect().right > width + 1).map(node => node.id)",
        PHONE["width"],
    )
    assert wide == []


def test_long_lines_of_code_wrap_beside_their_number(visit: Opener) -> None:
    code = visit("mixed", viewport=PHONE).locator("#exercise-grad_a1 pre.code")

    assert code.evaluate("code => code.scrollWidth <= code.clientWidth")
    heights = code.locator(".line").evaluate_all("all => all.map(line => line.getBoundingClientRect().height)")
    assert max(heights) > 1.5 * min(heights)


def test_a_page_works_without_javascript(visit: Opener) -> None:
    page = visit("missing_mask", java_script_enabled=False)
    right, wrong = page.locator("#exercise-grad_w1"), page.locator("#exercise-grad_z1")

    assert wrong.locator("pre.code").is_visible()
    assert not right.locator("pre.code").is_visible()
    right.locator("summary").first.click()
    assert right.locator("pre.code").is_visible()
    page.get_by_role("link", name="grad_b1").first.click()
    assert page.url.endswith("#exercise-grad_b1")


def test_a_printed_page_is_unfolded_and_light(visit: Opener) -> None:
    page = visit("missing_mask", color_scheme="dark")
    closed = page.locator("#exercise-grad_w1 pre.code")
    assert not closed.evaluate("code => code.checkVisibility({contentVisibilityAuto: true})")

    page.emulate_media(media="print", color_scheme="dark")

    assert closed.evaluate("code => code.checkVisibility() && code.getBoundingClientRect().height > 20")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert min(ratio for ratio, _ in page.evaluate(CONTRASTS)) >= 4.5
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_the_skip_link_comes_first(visit: Opener) -> None:
    page = visit("mixed")
    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.textContent") == "Skip to the feedback"
    assert page.locator(".skip").bounding_box()["y"] >= 0
