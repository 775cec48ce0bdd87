"""
A class that hands in at the last minute, and a quiet portal.

    python benchmarks/portal.py [--students 300] [--seconds 60] [--browser]

Serves a course with `grader serve`, lets every student hand in another notebook within the given time, and watches the
pages that they look at meanwhile. Before that, one student hands in again and again, alone. With --browser, that is
timed in Chromium, from the click to the report. Exits with 1 if a limit is exceeded, or if anything is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import nbformat

from grader import shipped
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.portal.access import start_session
from grader.portal.course import open_course
from grader.portal.database import open_database
from grader.portal.people import people
from grader.portal.portal import now_utc

ASSIGNMENT = "two_layer_mse"
PAGE = f"/assignments/{ASSIGNMENT}"
SECRET = re.compile(r'name="form_secret" value="([^"]+)"')
LOOK_S = re.compile(r'data-poll="(\d+)"')
"""How often a page that waits looks at the server, in seconds."""
MOST_PAGE_MS = 200.0
MOST_LAST_S = 90.0
MOST_QUIET_S = 1.0
DEADLINE_S = 600.0
WARMING = 4
"""How often a student hands in before that is timed, while the workers that have just started get warm."""
ROOT = Path(__file__).parent.parent


def main() -> int:
    """Measure, and print what was found. Returns 1 if a limit is exceeded, else 0."""
    parser = argparse.ArgumentParser(description="Let a class hand in at a portal.")
    parser.add_argument("--students", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=60.0, help="the time within which all hand in [60]")
    parser.add_argument("--quiet", type=int, default=10, help="how often one student hands in alone [10]")
    parser.add_argument("--browser", action="store_true", help="time the quiet portal in Chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portal-") as name:
        folder = Path(name)
        _write_course(folder, options.students)
        with _serving(folder) as address:
            sessions = _sessions(folder)
            quiet = _in_browser if options.browser else _alone
            alone = quiet(address, sessions.pop(), options.quiet)
            crowd = asyncio.run(_crowd(address, sessions[: options.students], options.seconds))
        lost = _lost(folder, options.students + WARMING + options.quiet)
    return _report(alone, crowd, lost)


def _write_course(folder: Path, students: int) -> None:
    (folder / "course.toml").write_text(
        f'title = "Backprop"\nroster = "roster.csv"\n[[assignment]]\nid = "{ASSIGNMENT}"\n', encoding="utf-8"
    )
    roster = "student\n" + "".join(f"s{number}\n" for number in range(students + 1))
    (folder / "roster.csv").write_text(roster, encoding="utf-8")


@contextlib.contextmanager
def _serving(folder: Path) -> Any:
    log = folder / "log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "grader", "serve", str(folder), "--port", "0"]
        server = subprocess.Popen(command, stderr=file, cwd=ROOT)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not (found := re.search(r"The portal is at (\S+?)\.? Press", log.read_text())):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        while httpx.get(f"{found[1]}/health").json()["status"] != "ok":
            time.sleep(0.1)
        yield found[1]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def _sessions(folder: Path) -> list[str]:
    """The cookie of a signed-in browser for each student."""
    with contextlib.closing(open_database(open_course(folder), folder)) as database, database.begin() as connection:
        return [start_session(connection, person, now_utc())[0] for person in people(connection)]


def _notebooks() -> list[bytes]:
    """The sample submissions that end by themselves."""
    released = release_notebook(read_source(shipped.solutions() / f"{ASSIGNMENT}.md"))
    files = sorted((shipped.samples() / ASSIGNMENT).glob("*.py"))
    texts = [path.read_text(encoding="utf-8") for path in files if path.stem != "endless-loop"]
    return [nbformat.writes(fill_blanks(released, text)).encode() for text in texts]


def _marked(content: bytes, mark: object) -> bytes:
    """The same notebook as another file."""
    notebook = nbformat.reads(content.decode(), as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(f"mark = {str(mark)!r}", id="mark"))
    return str(nbformat.writes(notebook)).encode()


def _alone(address: str, cookie: str, times: int) -> list[float]:
    """Seconds from handing in until the page with the report is there, of a student who is alone."""
    seconds = []
    notebooks = _notebooks()
    with httpx.Client(base_url=address, cookies={"grader": cookie}, timeout=60) as client:
        for number in range(WARMING + times):
            content = _marked(notebooks[number % len(notebooks)], f"alone {number}")
            secret = SECRET.search(client.get(PAGE).text)[1]  # type: ignore[index]
            started = time.monotonic()
            with client.stream("GET", "/events") as events:
                answer = client.post(PAGE, data={"form_secret": secret}, files={"file": ("a.ipynb", content)})
                path = answer.headers["location"]
                for line in events.iter_lines():
                    if line.startswith("event: changed") and "iframe" in client.get(path).text:
                        client.get(f"{path}/report.html").raise_for_status()
                        break
            seconds.append(time.monotonic() - started)
    return seconds[WARMING:]


def _in_browser(address: str, cookie: str, times: int) -> list[float]:
    """Seconds from the click until the report is shown, in Chromium."""
    from playwright.sync_api import sync_playwright

    seconds, notebooks = [], _notebooks()
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        context = browser.new_context(base_url=address)
        context.add_cookies([{"name": "grader", "value": cookie, "url": address}])
        page = context.new_page()
        for number in range(WARMING + times):
            path = Path(folder) / "a.ipynb"
            path.write_bytes(_marked(notebooks[number % len(notebooks)], f"alone {number}"))
            page.goto(PAGE)
            page.set_input_files("#file", str(path))
            started = time.monotonic()
            page.get_by_role("button", name="Hand in").click()
            page.frame_locator("iframe.report").locator("h1").wait_for()
            seconds.append(time.monotonic() - started)
        browser.close()
    return seconds[WARMING:]


class _Crowd:
    """What was seen while a class handed in: the times of pages in seconds, and of the last upload and report."""

    def __init__(self) -> None:
        self.pages: list[float] = []
        self.uploads: list[float] = []
        self.last_upload = 0.0
        self.last_report = 0.0
        self.failed = 0


async def _crowd(address: str, cookies: list[str], seconds: float) -> _Crowd:
    crowd, notebooks, dice = _Crowd(), _notebooks(), random.Random(1)
    # The server closes idle connections after 5 s; a browser then sends its request again, and httpx fails.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        tasks = []
        for number, cookie in enumerate(cookies):
            content = _marked(notebooks[number % len(notebooks)], number)
            tasks.append(_student(client, cookie, content, dice.uniform(0, seconds), crowd))
        await asyncio.gather(*tasks)
    return crowd


async def _student(client: httpx.AsyncClient, cookie: str, content: bytes, pause: float, crowd: _Crowd) -> None:
    headers = {"cookie": f"grader={cookie}"}

    async def look(path: str) -> str:
        started = time.monotonic()
        answer = await client.get(path, headers=headers)
        crowd.pages.append(time.monotonic() - started)
        return answer.text

    await asyncio.sleep(pause)
    secret = SECRET.search(await look(PAGE))
    assert secret is not None
    started = time.monotonic()
    files = {"file": ("a.ipynb", content)}
    answer = await client.post(PAGE, data={"form_secret": secret[1]}, files=files, headers=headers)
    crowd.uploads.append(time.monotonic() - started)
    crowd.last_upload = max(crowd.last_upload, time.monotonic())
    if answer.status_code != 303:
        crowd.failed += 1
        return
    deadline = time.monotonic() + DEADLINE_S
    while "iframe" not in (page := await look(answer.headers["location"])):
        waits = LOOK_S.search(page)
        if waits is None or time.monotonic() > deadline:
            crowd.failed += 1
            return
        await asyncio.sleep(float(waits[1]))
    crowd.last_report = max(crowd.last_report, time.monotonic())


def _lost(folder: Path, uploads: int) -> int:
    """How many uploads have no result, or more than one."""
    with contextlib.closing(sqlite3.connect(folder / "gradebook.db")) as connection:
        graded = connection.execute("SELECT count(*) FROM portal_attempts WHERE status = 'graded'").fetchone()[0]
        results = connection.execute("SELECT count(*) FROM grader_results").fetchone()[0]
        tries = connection.execute("SELECT sum(tries) FROM portal_attempts").fetchone()[0]
    return sum(abs(uploads - int(number)) for number in (graded, results, tries))


def _report(alone: list[float], crowd: _Crowd, lost: int) -> int:
    pages = sorted(crowd.pages)
    page_ms = 1000 * pages[int(0.95 * len(pages))]
    last_s, quiet_s = crowd.last_report - crowd.last_upload, statistics.median(alone)
    rows = [
        ("one student alone: from handing in to the report, median", quiet_s, "s", MOST_QUIET_S),
        (f"{len(crowd.uploads)} students: pages, 95th percentile", page_ms, "ms", MOST_PAGE_MS),
        ("uploads, 95th percentile", 1000 * sorted(crowd.uploads)[int(0.95 * len(crowd.uploads))], "ms", None),
        ("the last report after the last upload", last_s, "s", MOST_LAST_S),
        ("uploads that failed, were lost, or were graded twice", crowd.failed + lost, "", 0),
    ]
    print("| what | found | limit |\n| --- | ---: | ---: |")
    for name, found, unit, limit in rows:
        print(f"| {name} | {found:.3g} {unit} | {'–' if limit is None else f'{limit:g} {unit}'} |")
    return int(any(limit is not None and found > limit for _, found, _, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
