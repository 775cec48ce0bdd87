"""Launches in a real browser: within a frame of the platform, with cookies, with its storage, and in a new tab."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import pytest
from starlette.responses import HTMLResponse

from grader.portal.lti.tool import CLAIM, DEEP_LINKING
from tests.browser.conftest import browser as chromium
from tests.portal.lti.running import ROLE, Asked, FakePlatform, Served

__all__ = ["chromium"]

STORAGE = """
const kept = {};
addEventListener("message", (event) => {
  const { subject, message_id, key, value } = event.data;
  if (subject === "lti.put_data") kept[key] = value;
  event.source.postMessage({ subject: subject + ".response", message_id, key, value: kept[key] }, event.origin);
});
"""
"""What a platform's page does that keeps data for its tools."""


class Lms:
    """The pages of a platform: a course with a frame, and the step between login and launch, with a button."""

    def __init__(self, served: Served, platform: FakePlatform) -> None:
        self.served, self.platform = served, platform
        self.changes: dict[str, Any] = {}
        self.script = ""
        platform.answers["/course"] = self.course
        platform.answers["/authorize"] = self.authorize

    def course(self, asked: Asked) -> HTMLResponse:
        login = f"{self.served.tool.base}/lti/login?{urlencode(self.login(asked.query.get('target', '')))}"
        frame = f'<iframe name="tool" width=700 height=500 src="{html.escape(login)}"></iframe>'
        return HTMLResponse(f"<!doctype html><script>{self.script}</script>{frame}")

    def login(self, target: str) -> dict[str, str]:
        sent = {
            "iss": self.platform.base,
            "client_id": self.platform.client_id,
            "login_hint": "hint",
            "target_link_uri": self.served.tool.launch_address,
        }
        return sent | ({"lti_storage_target": target} if target else {})

    def authorize(self, asked: Asked) -> HTMLResponse:
        claims = self.platform.claims(asked.query, self.served.tool, self.served.clock().timestamp())
        token = self.platform.sign(claims | self.changes)
        return HTMLResponse(
            f"""<!doctype html><form method="post" action="{asked.query["redirect_uri"]}">
            <input type="hidden" name="id_token" value="{token}">
            <input type="hidden" name="state" value="{asked.query["state"]}"><button>Go on</button></form>"""
        )


@pytest.fixture
def lms(served: Served, platform: FakePlatform) -> Lms:
    return Lms(served, platform)


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page of the browser. The policy of no page may have kept its own script or form from working."""
    context = chromium.new_context(ignore_https_errors=True)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text))
    yield context.new_page()
    context.close()
    assert [text for text in complaints if "Content Security Policy" in text or "Content-Security" in text] == []


def test_cookies_work_in_a_frame(page: Any, lms: Lms) -> None:
    """Where the browser allows them."""
    page.goto(f"{lms.platform.base}/course")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Go on").click()

    frame.get_by_text("welcome student-1").wait_for()


def test_the_storage_of_the_platform_stands_in_for_cookies(page: Any, lms: Lms) -> None:
    lms.script = STORAGE
    page.goto(f"{lms.platform.base}/course?target=_parent")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Go on").wait_for()
    page.context.clear_cookies()
    frame.get_by_role("button", name="Go on").click()

    frame.get_by_text("welcome student-1").wait_for()


def test_a_new_tab_works_always(page: Any, lms: Lms) -> None:
    """Without cookies in the frame, and with a platform whose storage does not answer."""
    page.goto(f"{lms.platform.base}/course?target=_parent")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Go on").wait_for()
    page.context.clear_cookies()
    frame.get_by_role("button", name="Go on").click()
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="Open in a new tab").click()
    tab = opened.value
    tab.get_by_role("button", name="Go on").click()

    tab.get_by_text("welcome student-1").wait_for()
    assert len(lms.served.launches) == 1


def test_nobody_is_signed_in_as_somebody_else(page: Any, lms: Lms) -> None:
    """A foreign page knows everything about a login of its own, and lets another browser finish it."""
    with lms.served.browser() as attacker:
        start = attacker.get(f"{lms.served.tool.base}/lti/login", params=lms.login("_parent")).text
        value = start.partition('data-value="')[2].partition('"')[0]
        following = html.unescape(start.partition('data-next="')[2].partition('"')[0])
        query = {name: values[0] for name, values in parse_qs(httpx.URL(following).query.decode()).items()}
        claims = lms.platform.claims(query, lms.served.tool, lms.served.clock().timestamp())
        fields = {"id_token": lms.platform.sign(claims), "state": query["state"]}
    assert len(value) == 43

    def trap(stored: str) -> str:
        inputs = "".join(f'<input type="hidden" name="{name}" value="{text}">' for name, text in fields.items())
        inputs += f'<input type="hidden" name="stored" value="{stored}">' if stored else ""
        action = f'{lms.served.tool.base}/lti/launch" target="tool'
        answering = STORAGE.replace("kept[key] }", f"'{value}' }}")
        return f"""<!doctype html><script>{answering}</script><iframe name="tool"></iframe>
        <form method="post" action="{action}">{inputs}<button>Win</button></form>"""

    foreign = lms.platform.base.replace("localhost", "127.0.0.1")
    for stored, shown in (("", "Open in a new tab"), (value, "started in another browser")):
        lms.platform.answers["/trap"] = lambda asked, stored=stored: HTMLResponse(trap(stored))
        page.goto(f"{foreign}/trap")
        page.get_by_role("button", name="Win").click()
        page.frame_locator("iframe").get_by_text(shown).wait_for()
        page.wait_for_timeout(500)
    assert lms.served.launches == []

    with lms.served.browser() as own:
        own.headers["Origin"] = lms.served.tool.base
        taken = own.post(f"{lms.served.tool.base}/lti/launch", data={**fields, "stored": value})
    assert taken.text == "welcome student-1", "nothing else was wrong with it"


def test_a_choice_goes_back_to_the_platform(page: Any, lms: Lms) -> None:
    """Through the form that the page's policy allows, by itself."""
    lms.changes = {
        f"{CLAIM}message_type": "LtiDeepLinkingRequest",
        f"{CLAIM}roles": [f"{ROLE}Instructor"],
        f"{DEEP_LINKING}deep_linking_settings": {
            "deep_link_return_url": f"{lms.platform.base}/return?x=%3B1",
            "accept_types": ["ltiResourceLink"],
        },
    }
    lms.platform.answers["/return"] = lambda asked: HTMLResponse("<!doctype html>thank you")
    page.goto(f"{lms.platform.base}/course")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Go on").click()
    frame.get_by_label("Week 1 <gradients>").check()
    frame.get_by_role("button", name="Make the link").click()

    frame.get_by_text("thank you").wait_for()
    (asked,) = (asked for asked in lms.platform.asked if asked.path == "/return")
    assert asked.query == {"x": ";1"}
    assert list(parse_qs(asked.body.decode())) == ["JWT"]


def test_without_scripts_a_launch_works(chromium: Any, lms: Lms) -> None:
    """And so does the answer to a deep link, by a button."""
    context = chromium.new_context(ignore_https_errors=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{lms.platform.base}/course?target=_parent")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Continue").click()
    frame.get_by_role("button", name="Go on").click()
    frame.get_by_text("welcome student-1").wait_for()
    context.close()
