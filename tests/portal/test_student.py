"""A student's pages: when results are shown, and a notebook that was handed in at the wrong place."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from grader.portal.course import open_course
from grader.portal.demo import write_demo
from grader.portal.served import load_assignments
from tests.conftest import ROOT
from tests.portal.server import Portal, form_secret, notebook, wait_until_done, write_course
from tests.served_portal import served_portal

PAGE = "/assignments/two_layer_mse"
RULES = """due = 2999-02-01T00:00:00Z
release = 2999-03-01T10:00:00+01:00
attempts = 3
[[assignment]]
id = "batchnorm"
[[assignment]]
id = "layernorm"
opens = 2998-01-01T00:00:00Z
[[assignment]]
id = "softmax_cross_entropy"
due = 2999-01-01T00:00:00Z
"""
SHOWN = '<time datetime="2999-03-01T10:00:00+01:00">01 Mar 2999, 09:00 UTC</time>'


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """Four assignments: two without a due date, and one that is not open yet."""
    made = Portal(write_course(tmp_path_factory.mktemp("course"), rules=RULES))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def ada(portal: Portal) -> Iterator[httpx.Client]:
    with contextlib.closing(portal.signed_in("ada")) as client:
        yield client


def blank(assignment: str) -> bytes:
    """The students' notebook of an assignment."""
    return (ROOT / "assignments" / assignment / f"{assignment}.ipynb").read_bytes()


def test_pages_say_when_results_are_shown(portal: Portal, ada: httpx.Client) -> None:
    """The start page, the assignment and the attempt; none of them says that something is withheld."""
    path = portal.hand_in(ada, notebook("")).headers["location"]
    attempt = wait_until_done(ada, path)
    start, assignment = ada.get("/").text, ada.get(PAGE).text

    assert f'none yet <span class="small">shown from {SHOWN}</span>' in start
    assert f"none yet; shown from {SHOWN}" in assignment
    assert f"You see your mark and all results from {SHOWN} on." in attempt
    assert "10 of 10" not in start + assignment + attempt
    assert "withheld" not in start + assignment + attempt

    with contextlib.closing(portal.signed_in("prof")) as prof:
        data = {"form_secret": form_secret(prof, "/class"), "do": "hold"}
        assert prof.post("/class/two_layer_mse", data=data).status_code == 303
        try:
            assert ["withheld" in ada.get(page).text for page in ("/", PAGE, path)] == [True] * 3
            assert not any(SHOWN in ada.get(page).text for page in ("/", PAGE, path))
            assert "You see your mark" not in prof.get(path).text
        finally:
            prof.post("/class/two_layer_mse", data=data | {"do": "release"})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("softmax_cross_entropy", '<a href="/assignments/softmax_cross_entropy">A classifier by hand</a>; hand it in'),
        ("layernorm", "another assignment, <code>layernorm</code>."),  # it is not open: its title is not said
        ("attention", "another assignment, <code>attention</code>."),
    ],
)
def test_the_notebook_of_another_assignment(portal: Portal, other: str, said: str) -> None:
    """Where it belongs is said once, and it uses no attempt."""
    with contextlib.closing(portal.signed_in("ben")) as ben:
        used = [attempts_used(ben, page) for page in ("/", PAGE)]
        path = portal.hand_in(ben, blank(other)).headers["location"]
        text = wait_until_done(ben, path)

        assert [attempts_used(ben, page) for page in ("/", PAGE)] == used
        assert f"This is the notebook of {said}" in text
        assert text.count("notebook of") == text.count("It used no attempt.") == 1
        assert "grad_w1" not in text
        assert "<iframe" not in text
        assert "not of &#39;two_layer_mse&#39;" in ben.get(f"{path}/report.html").text
        assert ben.get(f"{path}/report.json").json()["notebook"]["of_assignment"] == other
        assert portal.hand_in(ben, notebook("", mark=other)).status_code == 303


def attempts_used(student: httpx.Client, page: str) -> str:
    """What a page says of the attempts at `two_layer_mse`."""
    found = re.search(
        r'(?:Attempts</dt><dd>|two_layer_mse".*?<td data-label="Attempts">)(\d+)', student.get(page).text, re.DOTALL
    )
    assert found is not None
    return found[1]


def test_assignments_come_by_due_date(ada: httpx.Client) -> None:
    """Those without one come last, in the order of the file."""
    found = re.findall(r'<th scope="row"><a href="/assignments/(\w+)">', ada.get("/").text)

    assert found == ["softmax_cross_entropy", "two_layer_mse", "batchnorm"]


def test_the_easy_way_to_connect_a_platform_comes_first(portal: Portal) -> None:
    with contextlib.closing(portal.signed_in("prof")) as prof:
        text = html.unescape(prof.get("/platforms").text)

    named = re.findall(r"<code>(.*?)</code>", text)
    assert named[:3] == ["grader lti invite", "grader lti add", "docs/lti.md"]
    assert (ROOT / named[2]).is_file()


def test_the_demo_is_not_called_like_an_assignment(tmp_path: Path) -> None:
    write_demo(tmp_path)
    course = open_course(tmp_path)

    assert course.title not in {each.title for each in load_assignments(course, tmp_path).values()}


@pytest.mark.parametrize("name", ["my.ipynb.txt", "MY.IPYNB"])
def test_a_notebook_whose_name_a_browser_changed_is_taken(portal: Portal, ada: httpx.Client, name: str) -> None:
    """As `grader batch` takes it, and it is read as the notebook that it is."""
    path = portal.hand_in(ada, notebook("", mark=name), name=name).headers["location"]
    text = wait_until_done(ada, path)

    assert f">{name}</a>" in text
    assert "<code>grad_w1</code>" in text


def test_a_release_date_that_is_moved_into_the_future(tmp_path: Path) -> None:
    """What was judged before shows nothing to its student until it is judged again; staff see it."""
    with served_portal(tmp_path / "course") as served, served.signed_in("ada") as ada, served.signed_in("max") as staff:
        files = {"file": ("my.ipynb", notebook(""), "application/octet-stream")}
        form = {"form_secret": form_secret(ada)}
        path = str(ada.post("/assignments/two_layer_mse", data=form, files=files).headers["location"])
        wait_until_done(ada, path)
        api, key = f"/api/submissions/{path.rpartition('/')[2]}", {"authorization": f"Bearer {served.key('ada')}"}
        assert ada.get(f"{path}/report.json").json()["score"] == 10
        assert ada.get(api, headers=key).json()["mark"] == 10

        served.dispatcher.stop()
        before = served.portal.served["two_layer_mse"]
        offer = msgspec.structs.replace(before.offer, release=dt.datetime(2999, 1, 1, tzinfo=dt.timezone.utc))
        served.portal.served["two_layer_mse"] = dataclasses.replace(before, offer=offer)

        assert [ada.get(f"{path}/report.{kind}").status_code for kind in ("html", "json")] == [404, 404]
        assert "10 of 10" not in ada.get(path).text
        assert not {"mark", "score", "exercises"} & ada.get(api, headers=key).json().keys()
        assert staff.get(f"{path}/report.json").json()["score"] == 10
