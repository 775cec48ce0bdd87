"""The instructor's pages, in a portal as people run it: without JavaScript, by their forms."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import html
import io
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from grader.classroom.decisions import list_decisions
from grader.classroom.records import Owner
from grader.classroom.submissions import find_submissions
from grader.portal.audit import note
from grader.portal.course import open_course
from grader.portal.database import open_database
from grader.portal.portal import now_utc
from grader.reports.reading import parse_report
from grader.submitting.progress import progress_of
from grader.submitting.words import outcome
from tests.conftest import ROOT
from tests.portal.server import Portal, form_secret, notebook, wait_until_done, write_course

CLASS = "/class/two_layer_mse"
NO_MASK = "def grad_z1(da1, z1):\n    return da1.clone()\n"
ODD = "def grad_w2(a1, dyhat):\n    return a1.t() @ dyhat.sin().cos()\n"
ROSTER = """student,name,email,role
ada,Ada Lovelace,ada@school.example,student
ben,Ben,,student
cleo,=Cleo,,student
../dan,Dan,,student
eve,Eve,,student
prof,Instructor,,staff
tess,Assistant,,staff
"""
PAGES = ["/class", CLASS, f"{CLASS}/overview", f"{CLASS}/download", f"{CLASS}/1", f"{CLASS}/mistakes/grad_w2/ff"]
PAGES += ["/roster", "/roster/1", "/audit", "/receipts"]


class Browser:
    """A browser without JavaScript, in which an instructor has signed in."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def text(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return html.unescape(answer.text)

    def send(self, path: str, **fields: str) -> httpx.Response:
        data = {"form_secret": form_secret(self.client, path), **fields}
        return self.client.post(path, data=data)

    def done(self, path: str, **fields: str) -> str:
        """Send a form that works, and return the page that follows."""
        answer = self.send(path, **fields)
        assert answer.status_code == 303, answer.text
        return self.text(answer.headers["location"])

    def person(self, name: str) -> int:
        found = re.search(rf'href="/roster/(\d+)">{re.escape(name)}<', self.text("/roster"))
        assert found is not None
        return int(found[1])

    def wait_until_judged(self) -> str:
        deadline = time.monotonic() + 90
        while "Judged again soon" in (text := self.text(CLASS)) or "Queued" in text or "Running" in text:
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        return text

    def audit(self) -> str:
        """The newest line of the trail."""
        row = re.search(r"<tbody>\s*<tr>(.*?)</tr>", self.text("/audit"), re.DOTALL)
        assert row is not None
        return " ".join(re.sub(r"<[^>]+>", " ", row[1]).split())


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal with a source notebook of its own, and a class: two are late, two have the same unexplained answer."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "solutions").mkdir()
    for suffix in ("md", "svg"):
        shutil.copy(ROOT / "solutions" / f"two_layer_mse.{suffix}", folder / "solutions")
    zone = dt.timezone(dt.timedelta(hours=2))
    due = (dt.datetime.now(zone) - dt.timedelta(hours=30)).isoformat(timespec="seconds")
    rules = f"due = {due}\nlate = {{ percent_per_day = 10 }}\nattempts = 5"
    made = Portal(write_course(folder, "solutions = 'solutions'", rules=rules, roster=ROSTER))
    handed_in = (("ada", NO_MASK), ("ada", NO_MASK), ("ben", ODD), ("cleo", ODD), ("../dan", ""))
    try:
        for number, (student, answers) in enumerate(handed_in, 1):
            with contextlib.closing(made.signed_in(student)) as client:
                answer = made.hand_in(client, notebook(answers, mark=str(number)), name="=my work.ipynb")
                assert answer.headers["location"] == f"/attempts/{number}"
        with contextlib.closing(made.signed_in("prof")) as client:
            for number, _ in enumerate(handed_in, 1):
                wait_until_done(client, f"/attempts/{number}")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def sign_in(portal: Portal) -> Iterator[Callable[[str], httpx.Client]]:
    """Signs somebody in, in a browser of their own."""
    with contextlib.ExitStack() as stack:
        yield lambda student: stack.enter_context(contextlib.closing(portal.signed_in(student)))


@pytest.fixture(scope="module")
def prof(sign_in: Callable[[str], httpx.Client]) -> Browser:
    """An instructor's browser."""
    return Browser(sign_in("prof"))


@pytest.fixture(scope="module")
def ada(sign_in: Callable[[str], httpx.Client]) -> httpx.Client:
    """A student's browser."""
    return sign_in("ada")


@pytest.fixture(scope="module")
def ben(sign_in: Callable[[str], httpx.Client]) -> httpx.Client:
    """Another student's."""
    return sign_in("ben")


@contextlib.contextmanager
def gradebook_of(portal: Portal) -> Iterator[sa.Connection]:
    """A transaction in the portal's database."""
    database = open_database(open_course(portal.folder), portal.folder)
    try:
        with database.begin() as connection:
            yield connection
    finally:
        database.close()


def executions(portal: Portal) -> set[tuple[object, ...]]:
    """How the notebooks ran, as the gradebook keeps it: it is saved anew at each execution."""
    with gradebook_of(portal) as connection:
        rows = connection.exec_driver_sql("SELECT key, executed_at, answers FROM grader_executions")
        return {(key, str(moment), bytes(answers)) for key, moment, answers in rows}


@pytest.mark.parametrize("path", PAGES)
def test_students_do_not_find_them(portal: Portal, ada: httpx.Client, path: str) -> None:
    """Neither the pages nor what their forms do; and nobody does without signing in."""
    assert ada.get(path).status_code == 404
    assert ada.post(path, data={"form_secret": form_secret(ada), "do": "hold"}).status_code in (404, 405)
    assert httpx.get(f"{portal.address}{path}").headers["location"] == "/sign-in"


@pytest.mark.parametrize("path", ["/class", CLASS, f"{CLASS}/1", "/roster", "/roster/1", "/receipts"])
def test_forms_need_their_secret(prof: Browser, path: str) -> None:
    """Without it, nothing is done."""
    before = prof.audit()

    assert prof.client.post(path, data={"do": "hold"}).status_code == 403
    assert prof.client.post(path, data={"do": "hold", "form_secret": "a" * 43}).status_code == 403
    assert prof.audit() == before


def test_the_class(prof: Browser) -> None:
    """The figures, who is stuck since when, who shares an unexplained answer, and where everybody stands."""
    assert "4 of 5" in prof.text("/class")

    text = prof.text(CLASS)

    stuck = re.search(r'<div id="stuck".*?</ol>', text, re.DOTALL)
    assert stuck is not None
    assert re.search(r"Missing mask\s*<code>grad_z1</code>", stuck[0])
    assert re.search(r'<a href="/attempts/2">Ada Lovelace</a>.*?since <time.*?, 2 attempts', stuck[0], re.DOTALL)
    first = prof.client.get("/attempts/1").text
    assert re.findall(r'datetime="([^"]+)"', stuck[0]) == re.findall(r'Arrived</dt><dd><time datetime="([^"]+)"', first)
    assert "Ben" not in stuck[0]
    assert re.search(
        r'class="num">2</td><td [^>]*class="more"><a href="/class/two_layer_mse/mistakes/grad_w2/',
        text,
    )
    rows = re.findall(r'<tr><th scope="row"><a href="/class/two_layer_mse/\d+">(.*?)</a>(.*?)</tr>', text, re.DOTALL)
    assert [name for name, _ in rows] == ["=Cleo", "Ada Lovelace", "Ben", "Dan", "Eve"]
    assert "8 of 10" not in rows[1][1]  # 20 percent of 8 points are lost by two days
    assert "6.4 of 10" in rows[1][1]
    assert re.search(r"late by 1 day \d+ hours?<", rows[1][1])  # not "1 day", which would cost 10 percent
    assert [rows[3][1].count("✓"), rows[1][1].count("✗"), rows[4][1].count("no result")] == [7, 1, 7]


@pytest.mark.parametrize(
    ("show", "names"),
    [
        ("nothing", ["Eve"]),
        ("stuck", ["Ada Lovelace"]),
        ("late", ["=Cleo", "Ada Lovelace", "Ben", "Dan"]),
        ("failed", []),
    ],
)
def test_a_part_of_the_class(prof: Browser, show: str, names: list[str]) -> None:
    """The table can show some students only."""
    table = prof.text(f"{CLASS}?show={show}").partition('<table class="overview stacks class"')[2]

    assert re.findall(r'<th scope="row"><a [^>]*>(.*?)</a>', table) == names


def test_an_adjustment_executes_nothing(portal: Portal, prof: Browser, ben: httpx.Client) -> None:
    """It replaces the points in the student's report at once, and is taken back by a withdrawal."""
    page, ran = f"{CLASS}/{prof.person('Ben')}", executions(portal)
    for wrong in ({"points": "99", "reason": "x"}, {"points": "many", "reason": "x"}, {"points": "1"}):
        assert prof.send(page, do="adjust", exercise="grad_w2", **wrong).status_code == 409

    said = prof.done(
        page, do="adjust", exercise="grad_w2", points="1,5", comment="<b>Nearly</b>", reason="The idea is right."
    )
    assert "1 attempt will be judged again." in said
    assert "decided about points by hand ben, two_layer_mse, grad_w2: 1.5 points" in prof.audit()
    prof.wait_until_judged()
    report = ben.get("/attempts/3/report.json").json()
    assert (report["score"], report["adjustments"][0]["comment"]) == (9.5, "<b>Nearly</b>")
    assert "1.5 of 2 points were given by hand." in ben.get("/attempts/3").text
    assert "<strong>7.6</strong> of 10 (9.5 before the deduction: late by 1 day 7 hours)" in prof.text(page)
    assert "<b>Nearly" not in prof.client.get(page).text
    number = re.search(r'name="number" value="(\d+)"', prof.text(page))
    assert number is not None

    other = f"{CLASS}/{prof.person('Ada Lovelace')}"
    assert prof.send(other, do="withdraw", number=number[1], reason="x").status_code == 409
    prof.done(page, do="withdraw", number=number[1], reason="Agreed otherwise.")
    prof.wait_until_judged()

    assert ben.get("/attempts/3/report.json").json()["score"] == 8
    assert "Withdrawn by prof" in prof.text(page)
    assert executions(portal) == ran


def test_grader_adjust_on_the_portals_gradebook(portal: Portal, ben: httpx.Client) -> None:
    """A running portal judges again by itself what somebody has decided, or withdrawn, in a terminal."""

    def adjust(*words: str) -> None:
        command = [sys.executable, "-m", "grader", "adjust", "-g", str(portal.folder / "gradebook.db"), *words]
        subprocess.run([*command, "--reason", "On paper."], cwd=ROOT, check=True, capture_output=True, text=True)

    def wait_for(score: float) -> None:
        deadline = time.monotonic() + 90
        while ben.get("/attempts/3/report.json").json()["score"] != score:
            assert time.monotonic() < deadline, portal.log
            time.sleep(0.2)

    adjust("ben", "--platform", "portal", "--exercise", "grad_w2", "--points", "1.5")
    wait_for(9.5)

    database = open_database(open_course(portal.folder), portal.folder)
    with contextlib.closing(database):
        newest = list_decisions(database)[-1].number
    adjust("--withdraw", str(newest))
    wait_for(8)


def test_what_lateness_costs_is_said_where_the_points_are(ben: httpx.Client) -> None:
    """On the attempt's page, to programs, and in the sentence of `grader submit`."""
    assert "6.4 after the deduction for lateness" in ben.get("/attempts/3").text
    key = re.search(r"--key ([\w-]+)", ben.post("/key", data={"form_secret": form_secret(ben)}).text)
    assert key is not None

    answer = ben.get("/api/submissions/3", headers={"authorization": f"Bearer {key[1]}"}).json()

    assert (answer["score"], answer["mark"]) == (8, 6.4)
    progress = progress_of(answer)
    assert progress is not None
    assert outcome(progress) == "8 of 10 points; 6.4 after the deduction for lateness."


def test_each_mean_says_which_it_is(prof: Browser) -> None:
    """Where the number stands: the overview has the points themselves."""
    after = re.findall(
        r"([\d.]+) of 10(?: <span[^>]+>)? ?after what lateness costs", prof.text("/class") + prof.text(CLASS)
    )
    before = re.search(
        r'got">([\d.]+)<.*?points on average, before what lateness costs', prof.text(f"{CLASS}/overview")
    )

    assert before is not None
    assert len(after) == 2
    assert float(after[0]) == float(after[1]) < float(before[1])


def test_an_extension(prof: Browser, sign_in: Callable[[str], httpx.Client]) -> None:
    """A later due date costs nothing any more; a wrong one is not accepted, and stays in the form."""
    dan = sign_in("../dan")
    assert "1 of 5" in dan.get("/").text
    page = f"{CLASS}/{prof.person('Dan')}"
    assert "<strong>8</strong> of 10" in prof.text(page)
    early, later = "2020-01-01T10:00", (dt.datetime.now() + dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")

    there = (dt.datetime.fromisoformat(later) + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")

    refused = prof.send(page, do="extend", due=early, offset="+01:00", attempts="2")
    assert refused.status_code == 409
    assert "not later than the due date of the class" in refused.text
    assert f'value="{early}"' in refused.text
    assert prof.send(page, do="extend", due=later, offset="noon", attempts="0").status_code == 409
    assert prof.send(page, do="extend", due="", offset="", attempts="-1").status_code == 409

    assert "The extension is saved." in prof.done(page, do="extend", due=later, offset="+01:00", attempts="2")
    assert f"{later}:00+01:00, 2 more attempts" in prof.audit()
    assert "<strong>10</strong> of 10" in prof.text(page)
    assert f'value="{there}"' in prof.text(page)  # in the time zone of the course's own due date
    assert "extension" in prof.text(CLASS)
    assert ["1 of 7" in dan.get(path).text for path in ("/", "/assignments/two_layer_mse")] == [True, True]

    prof.done(page, do="extend", due="", offset="+01:00", attempts="0")
    assert "<strong>8</strong> of 10" in prof.text(page)


def test_withholding(prof: Browser, ada: httpx.Client, ben: httpx.Client) -> None:
    """From one student or from all; then students see neither marks nor reports."""
    page = f"{CLASS}/{prof.person('Ada Lovelace')}"

    prof.done(page, do="hold")
    assert prof.audit().endswith("withheld results two_layer_mse, ada")
    assert ada.get("/attempts/1/report.html").status_code == 404
    assert ben.get("/attempts/3/report.html").status_code == 200
    assert prof.client.get("/attempts/1/report.html").status_code == 200
    prof.done(CLASS, do="hold")
    assert ben.get("/attempts/3/report.html").status_code == 404
    assert "withheld" in ben.get("/assignments/two_layer_mse").text
    prof.done(CLASS, do="release")
    assert ben.get("/attempts/3/report.html").status_code == 200
    assert ada.get("/attempts/1/report.html").status_code == 404

    prof.done(page, do="release")

    assert ada.get("/attempts/1/report.html").status_code == 200


def test_what_the_grader_failed_at_is_executed_again(portal: Portal, prof: Browser) -> None:
    """The button is there if the grader failed at something."""
    assert 'value="again"' not in prof.text(CLASS)
    with gradebook_of(portal) as connection:  # as the dispatcher leaves it after a failure
        of_it = "(SELECT result FROM portal_attempts WHERE id = 5)"
        connection.exec_driver_sql(f"DELETE FROM grader_results WHERE key = {of_it}")
        connection.exec_driver_sql("UPDATE portal_attempts SET status = 'grader_error', score = NULL WHERE id = 5")
    ran = executions(portal)
    assert "at 1 attempt" in prof.text(CLASS)
    assert re.search(r'class="failed">1<', prof.text("/class"))

    assert "1 attempt will be judged again." in prof.done(CLASS, do="again")

    prof.wait_until_judged()
    assert "10 of 10" in prof.text("/attempts/5")
    assert 'value="again"' not in prof.text(CLASS)
    assert len(executions(portal) - ran) == 1


def test_a_broken_source_notebook_changes_nothing(portal: Portal, prof: Browser) -> None:
    """The portal says what is wrong with it, and goes on with the one that it has."""
    source = portal.folder / "solutions" / "two_layer_mse.md"
    text = source.read_text(encoding="utf-8")
    assert "have not changed" in prof.done("/class", do="reload")
    try:
        source.write_text(text.replace("dyhat @ w2.T", "2 * dyhat @ w2.T"), encoding="utf-8")
        refused = prof.send("/class", do="reload")
    finally:
        source.write_text(text, encoding="utf-8")

    assert refused.status_code == 409
    assert "Nothing was changed." in refused.text
    assert "grad_a1" in refused.text
    assert "Judged again soon" not in prof.text(CLASS)


def test_naming_a_mistake(portal: Portal, prof: Browser, ben: httpx.Client) -> None:
    """What two students share gets a name on the page; their reports then say it, and nothing is executed."""
    found = re.search(rf'href="({CLASS}/mistakes/grad_w2/[^"]+)"', prof.text(CLASS))
    assert found is not None
    page, ran, source = found[1], executions(portal), portal.folder / "solutions" / "two_layer_mse.md"
    before = source.read_bytes()
    assert 'fingerprints: ["' in prof.text(page)
    texts = {"observation": 'Your "dw2": ends {#```', "hint1": "What is dyhat here?", "hint2": "Ünd here?"}
    assert prof.send(page, do="name", id="no spaces", **texts).status_code == 409
    assert prof.send(page, do="name", id="sine", observation="x").status_code == 409
    assert prof.client.get(f"{CLASS}/mistakes/grad_w2/ffff").status_code == 404
    assert source.read_bytes() == before

    said = prof.done(page, do="name", id="sine_of_it", **texts)

    assert "The mistake has a name now. 5 attempts will be judged again." in said
    assert source.read_bytes().startswith(before.rstrip())
    prof.wait_until_judged()
    finding = next(
        each for each in parse_report(ben.get("/attempts/3/report.json").text).findings if each.name == "grad_w2"
    )
    assert (finding.diagnoses[0].id, finding.diagnoses[0].message) == ("sine_of_it", texts["observation"])
    assert executions(portal) == ran
    assert prof.client.get(page).status_code == 404
    assert "had the source notebooks read again two_layer_mse.md" in prof.audit()


def test_the_overview(prof: Browser) -> None:
    """It is the page of `grader batch`: its policy is the answer's, and its links lead to reports and back."""
    answer = prof.client.get(f"{CLASS}/overview")

    own = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', answer.text)
    assert own is not None
    assert answer.headers["content-security-policy"] == f"{html.unescape(own[1])}; frame-ancestors 'none'"
    assert f'<a href="{CLASS}">Back to the class</a>' in answer.text
    reports = re.findall(r'<th scope="row"><a href="(/attempts/\d+/report.html)"', answer.text)
    assert len(reports) == 4
    assert all(prof.client.get(report).status_code == 200 for report in reports)


def test_the_download(prof: Browser, tmp_path: Path) -> None:
    """Safe names, all submissions and reports, marks after lateness; and `grader batch` knows the students."""
    download, unpacked = tmp_path / "download.zip", tmp_path / "two_layer_mse"
    download.write_bytes(prof.client.get(f"{CLASS}/download").content)
    with zipfile.ZipFile(download) as archive:
        names = archive.namelist()
        archive.extractall(unpacked)
        marks = list(csv.DictReader(io.StringIO(archive.read("marks.csv").decode())))
        book = list(csv.DictReader(io.StringIO(archive.read("gradebook.csv").decode())))

    assert {"submissions/ada.ipynb", "reports/ada.html", "reports/ada.json", "gradebook.json"} <= set(names)
    assert {"other-attempts/ada/2.ipynb", "other-attempts/ada/2-report.html"} <= set(names)
    assert not [name for name in names if ".." in name or name.startswith("/")]
    ada, dan = (next(row for row in marks if row["student"] == who) for who in ("ada", "../dan"))
    assert (ada["attempts"], ada["counting_attempt"], ada["score"], ada["mark"]) == ("2", "1", "8.00", "6.40")
    assert (dan["score"], dan["mark"]) == ("10.00", "8.00")
    assert [row[name][-6:] for row in (ada, dan) for name in ("due", "received")] == 4 * ["+00:00"]
    assert next(row for row in marks if row["student"] == "eve")["mark"] == ""
    assert next(row for row in marks if row["student"] == "cleo")["name"] == "'=Cleo"
    assert all((unpacked / row["report"]).is_file() for row in book)
    (tmp_path / "outside").mkdir()
    shutil.copytree(unpacked, tmp_path / "outside" / "two_layer_mse")
    for source in (unpacked / "submissions", unpacked, tmp_path / "outside", download):
        found = find_submissions([source])
        assert {each.owner for each in found.received} == {
            Owner("plain", name) for name in ("ada", "ben", "cleo", "_dan")
        }
        assert len(found.received) == 4
        assert [each.is_serious for each in found.problems] == ([] if source.name == "submissions" else [False])
        assert all("other-attempts/" in each.where for each in found.problems)
    (unpacked / "late.ipynb").write_bytes((unpacked / "submissions" / "ada.ipynb").read_bytes())
    assert [each.where for each in find_submissions([unpacked]).problems if each.is_serious] == ["late.ipynb"]


def test_importing_a_roster(prof: Browser) -> None:
    """Canvas's gradebook: what would change is shown with what is wrong, and only then done."""
    canvas = (
        "Student,ID,SIS User ID,SIS Login ID,Section,Two layers (77)\n    Points Possible,,,,,10\n"
        '"Lovelace, Ada",4021,S1,ada,One,7\n"Hopper, Grace",4022,S2,grace,One,\n"Nobody",4023,S3,,One,\n'
        '"Twice",4024,S4,grace,One,\n"Instructor",4025,S5,prof,One,\n'
    )
    data = {"form_secret": form_secret(prof.client, "/roster"), "do": "preview"}

    answer = prof.client.post("/roster", data=data, files={"file": ("canvas.csv", canvas.encode(), "text/csv")})

    text = html.unescape(answer.text)
    assert "a table from Canvas" in text
    assert "Line 5: there is no id" in text
    assert "Line 6: the id 'grace' is in line" in text
    assert re.search(r"New</dt><dd>1<", text)
    assert "was Ada Lovelace" in text
    assert "was ada@school.example" not in text  # what the table does not say stays
    assert "/roster/" not in re.sub(r"<nav.*?</nav>", "", text, flags=re.DOTALL)
    assert "Hopper" not in prof.text("/roster")
    table = re.search(r'name="table" value="([^"]*)"', answer.text)
    assert table is not None
    prof.done("/roster", do="import", table=html.unescape(table[1]), whole="yes")

    text = prof.text("/roster")
    assert "Hopper, Grace" in text
    assert "Ben" not in text
    assert "1 (grace) added, " in prof.audit()
    back = "student,name\nada,Ada Lovelace\nben,Ben\ncleo,=Cleo\n../dan,Dan\neve,Eve\n"
    prof.done("/roster", do="import", table=back, whole="yes")
    assert "Hopper" not in prof.text("/roster")


def test_people(portal: Portal, prof: Browser, sign_in: Callable[[str], httpx.Client]) -> None:
    """Added, let in by a link that is shown once, locked out, made staff, removed."""
    assert prof.send("/roster", do="add", student="", name="x").status_code == 409
    assert prof.send("/roster", do="add", student="ada", name="x").status_code == 409
    added = prof.done("/roster", do="add", student="mary", name="Mary", email="", role="student")
    assert "Now make a personal link below" in added
    assert 'value="link" class="button">Make a personal link' in added
    page = f"/roster/{prof.person('Mary')}"

    shown = prof.send(page, do="link")
    secret = re.search(rf"{re.escape(portal.address)}/sign-in/([\w-]+)", shown.text)
    assert secret is not None
    assert secret[1] not in prof.text(page)
    with httpx.Client(base_url=portal.address) as mary:
        assert mary.post("/sign-in", data={"secret": secret[1]}).status_code == 303
        assert mary.get("/").status_code == 200
        prof.done(page, do="revoke")
        assert mary.get("/").status_code == 303

    prof.done(page, do="staff")
    assert sign_in("mary").get("/class").status_code == 200
    prof.done(page, do="student")
    assert sign_in("mary").get("/class").status_code == 404
    prof.done(page, do="remove")
    assert prof.client.get(page).status_code == 404
    assert "took somebody out of the course mary" in prof.audit()
    own = f"/roster/{prof.person('Instructor')}"
    assert [prof.send(own, do=what).status_code for what in ("remove", "student", "revoke")] == [409] * 3


def test_a_new_link_replaces_those_that_were_not_used(portal: Portal, prof: Browser) -> None:
    """Those of this person alone, whether the page or the command makes it; who is signed in stays so."""
    page = f"/roster/{prof.person('Ben')}"
    assert "Earlier links that were not used stop working" in prof.text(page)

    def from_page() -> str:
        shown = re.search(rf"{re.escape(portal.address)}/sign-in/[\w-]+", prof.send(page, do="link").text)
        assert shown is not None
        return shown[0]

    with contextlib.closing(portal.signed_in("ben")) as ben:
        other, links = portal.link("cleo"), [portal.link("ben"), from_page(), from_page(), portal.link("ben")]

        assert [httpx.get(link).status_code for link in links] == [404, 404, 404, 200]
        assert httpx.get(other).status_code == 200
        assert ben.get("/").status_code == 200
    assert "signed in, 1 open link" in prof.text(page)


def test_links_as_a_table(portal: Portal, prof: Browser) -> None:
    """Only for those who were never here; each of them lets one browser in."""
    answer = prof.send("/roster", do="links", who="new")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"].startswith("attachment")
    assert [row["student"] for row in rows] == ["eve"]
    secret = rows[0]["link"].rpartition("/")[2]
    assert [httpx.post(f"{portal.address}/sign-in", data={"secret": secret}).status_code for _ in "12"] == [303, 404]
    assert prof.send("/roster", do="links", who="new").status_code == 409


def test_the_audit_trail_has_pages(portal: Portal, prof: Browser) -> None:
    """The newest lines first; the older ones follow, and none is missing."""
    with gradebook_of(portal) as connection:
        for number in range(130):
            note(connection, by="test", what="download", about=f"<{number}>", now=now_utc())
    lines, path = [], "/audit"
    while path:
        text = prof.text(path)
        lines += re.findall(r'<tr><th scope="row"><time datetime="([^"]+)"', text)
        older = re.search(r'href="(/audit\?before=\d+)" rel="next"', text)
        path = older[1] if older else ""

    assert len(lines) > 130
    assert lines == sorted(lines, reverse=True)
    assert prof.client.get("/audit?before=x").status_code == 200


def test_receipts(prof: Browser, ada: httpx.Client) -> None:
    """A genuine one leads to its attempt; one that was changed is none."""
    text = ada.get("/attempts/1/receipt").text

    genuine = html.unescape(prof.send("/receipts", receipt=text.replace("\n", "\r\n")).text)
    changed = html.unescape(prof.send("/receipts", receipt=text.replace("attempt: 1", "attempt: 2")).text)

    assert "This receipt is genuine" in genuine
    assert 'href="/attempts/1"' in genuine
    assert "not genuine" in changed
    assert "not genuine" in html.unescape(prof.send("/receipts", receipt="proof: ").text)
