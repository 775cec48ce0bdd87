"""The page in a real browser."""

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
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
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
    """Open a sample; a console message, a page error or a request for anything but the file fails the test."""
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
def test_opens_quietly_and_has_landmarks(visit: Opener, name: str) -> None:
    page = visit(name)

    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.eval_on_selector_all("img", "all => all.every(each => each.naturalWidth > 0)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["mixed", "odd", "unreadable"])
def test_contrast(visit: Opener, name: str, scheme: str) -> None:
    """WCAG AA, 4.5 : 1, for every word that can be seen."""
    page = visit(name, color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")

    found = page.evaluate(CONTRASTS)

    assert len(found) > 10
    assert [(round(ratio, 2), what) for ratio, what in found if ratio < 4.5] == []


def test_dark_is_dark(visit: Opener) -> None:
    background = "getComputedStyle(document.body).backgroundColor"

    assert visit("mixed", color_scheme="light").evaluate(background) == "rgb(248, 248, 246)"
    assert visit("mixed", color_scheme="dark").evaluate(background) == "rgb(19, 22, 25)"


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_fits_a_phone(visit: Opener, name: str) -> None:
    page = visit(name, viewport=PHONE)
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = page.eval_on_selector_all(
        "body *:not(svg *, pre *, .scroll *, .skip)",
        "(all, width) => all.filter(each => each.getBoundingClientRect().right > width + 1).map(each => each.id)",
        PHONE["width"],
    )
    assert wide == []


def test_long_lines_of_code_are_wrapped_beside_their_number(visit: Opener) -> None:
    code = visit("mixed", viewport=PHONE).locator("#exercise-grad_a1 pre.code")

    assert code.evaluate("each => each.scrollWidth <= each.clientWidth")
    heights = code.locator(".line").evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
    assert max(heights) > 1.5 * min(heights)


def test_works_without_javascript(visit: Opener) -> None:
    page = visit("missing_mask", java_script_enabled=False)
    right, wrong = page.locator("#exercise-grad_w1"), page.locator("#exercise-grad_z1")

    assert wrong.locator("pre.code").is_visible()
    assert not right.locator("pre.code").is_visible()
    right.locator("summary").first.click()
    assert right.locator("pre.code").is_visible()
    page.get_by_role("link", name="grad_b1").first.click()
    assert page.url.endswith("#exercise-grad_b1")


def test_print_opens_everything_and_stays_light(visit: Opener) -> None:
    page = visit("missing_mask", color_scheme="dark")
    closed = page.locator("#exercise-grad_w1 pre.code")
    assert not closed.evaluate("each => each.checkVisibility({contentVisibilityAuto: true})")

    page.emulate_media(media="print", color_scheme="dark")

    assert closed.evaluate("each => each.checkVisibility() && each.getBoundingClientRect().height > 20")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert min(ratio for ratio, _ in page.evaluate(CONTRASTS)) >= 4.5
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_skip_link_comes_first(visit: Opener) -> None:
    page = visit("mixed")
    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.textContent") == "Skip to the feedback"
    assert page.locator(".skip").bounding_box()["y"] >= 0
