"""The queue: whatever servers do and whenever they die, each attempt gets one result."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from grader.classroom.gradebook import Gradebook
from grader.errors import UsageError
from grader.portal import attempts
from grader.portal.arrangements import Extension, extend, extension_of, held, hold, let_go
from grader.portal.attempts import (
    LEASE,
    Attempt,
    Refusal,
    accept,
    attempts_of,
    claim,
    content_of,
    find_attempt,
    finish,
    give_back,
    judge_again,
    places_in_queue,
    prolong,
)
from grader.portal.course import Late, Offer
from grader.portal.database import VERSION_TABLE, migrate
from grader.portal.lti.tables import METADATA as LTI
from grader.portal.marks import mark_of
from grader.portal.people import Listed, Person, enrol, find_student, people
from grader.portal.tables import METADATA

NOW = dt.datetime(2026, 10, 1, 12, tzinfo=dt.timezone.utc)
MINUTE = dt.timedelta(minutes=1)
NAMES = itertools.count()


@pytest.fixture
def person(gradebook: Gradebook) -> Person:
    """Somebody new."""
    student = f"s{next(NAMES)}"
    with gradebook.begin() as connection:
        enrol(connection, [Listed(student, "Name")], by="test", now=NOW)
        found = find_student(connection, student)
    assert found is not None
    return found


def hand_in(
    gradebook: Gradebook,
    person: Person,
    offer: Offer,
    content: bytes,
    now: dt.datetime = NOW,
    served: Sequence[str] = (),
) -> Attempt | Refusal:
    with gradebook.begin() as connection:
        return accept(connection, person, offer, file="a.ipynb", content=content, now=now, served=served)


def grade(
    gradebook: Gradebook, offer: Offer, *, score: float | None, status: str = "graded", holder: str = "h"
) -> Attempt:
    with gradebook.begin() as connection:
        taken = claim(connection, holder, [offer.id], NOW)
        assert taken is not None
        assert finish(connection, taken, holder, result="key", status=status, score=score, max_score=10.0, now=NOW)
    return taken


def offer_of(**rules: object) -> Offer:
    """An assignment that no other test has."""
    return Offer(id=f"a{next(NAMES)}", **rules)  # type: ignore[arg-type]


def test_the_tables_are_those_of_the_code(gradebook: Gradebook) -> None:
    """The migrations make what `tables.py` says. Migrating again changes nothing."""
    migrate(gradebook)
    with gradebook.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = compare_metadata(context, [METADATA, LTI])

    assert [str(difference) for difference in found if "grader_" not in str(difference)] == []


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Rather than damaged."""
    with contextlib.closing(Gradebook(str(tmp_path / "gradebook.db"))) as opened:
        migrate(opened)
        with opened.begin() as connection:
            connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        with pytest.raises(UsageError, match="newer grader"):
            migrate(opened)


def test_the_same_file_twice_is_one_attempt(gradebook: Gradebook, person: Person) -> None:
    """A form that is sent twice, also at the same time, makes one attempt; another file makes the next one."""
    offer = offer_of()
    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda _: hand_in(gradebook, person, offer, b"one"), range(8)))
        more = list(threads.map(lambda number: hand_in(gradebook, person, offer, b"%d" % number), range(2)))

    assert {attempt.id for attempt in taken if isinstance(attempt, Attempt)} == {taken[0].id}  # type: ignore[union-attr]
    numbers = sorted(attempt.number for attempt in more if isinstance(attempt, Attempt))
    assert numbers == [2, 3]
    with gradebook.begin() as connection:
        assert content_of(connection, taken[0]) == b"one"  # type: ignore[arg-type]


def test_rules_for_handing_in(gradebook: Gradebook, person: Person) -> None:
    """Closed, not open, too many, too soon: each is refused in a sentence. An extension changes it for one person."""
    before, after = NOW - MINUTE, NOW + MINUTE
    refused = {
        "is not open yet": offer_of(opens=after),
        "is closed": offer_of(closes=before),
        "All 1 attempts": offer_of(attempts=1),
        "possible in 5 minutes": offer_of(cool_down_minutes=5),
    }
    for sentence, offer in refused.items():
        if isinstance(hand_in(gradebook, person, offer, b"first"), Attempt):
            grade(gradebook, offer, score=1.0)
        answer = hand_in(gradebook, person, offer, b"second")
        assert isinstance(answer, Refusal)
        assert sentence in answer.reason
    with gradebook.begin() as connection:
        extend(connection, person, refused["is closed"].id, Extension(after, 0), by="prof", now=NOW)
        extend(connection, person, refused["All 1 attempts"].id, Extension(None, 1), by="prof", now=NOW)
        assert extension_of(connection, person, refused["is closed"].id) == Extension(after, 0)
    for sentence in ("is closed", "All 1 attempts"):
        assert isinstance(hand_in(gradebook, person, refused[sentence], b"third"), Attempt)


def test_nobody_fills_the_queue_or_the_disk(
    gradebook: Gradebook, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three attempts may wait, at whatever assignments are served; and what is kept of one student has a limit."""
    offer, other, removed = offer_of(), offer_of(), offer_of()
    for number in range(3):
        assert isinstance(hand_in(gradebook, person, removed, b"%d" % number), Attempt)
    served = [offer.id, other.id]
    for number in range(3):
        assert isinstance(
            hand_in(gradebook, person, other if number else offer, b"%d" % number, served=served), Attempt
        )

    answer = hand_in(gradebook, person, offer, b"fourth", served=served)

    assert isinstance(answer, Refusal)
    assert "still waiting" in answer.reason
    grade(gradebook, offer, score=1.0)
    assert isinstance(hand_in(gradebook, person, offer, b"fourth"), Attempt)
    grade(gradebook, offer, score=1.0)
    monkeypatch.setattr(attempts, "MOST_BYTES", 23)
    answer = hand_in(gradebook, person, offer, b"0" * 12)
    assert isinstance(answer, Refusal)
    assert "in all" in answer.reason
    assert isinstance(hand_in(gradebook, person, offer, b"0" * 11), Attempt)


@pytest.mark.parametrize(("status", "counts"), [("graded", True), ("unreadable", False), ("grader_error", False)])
def test_what_uses_up_an_attempt(gradebook: Gradebook, person: Person, status: str, counts: bool) -> None:
    """A fault of the grader's never does."""
    offer = offer_of(attempts=1)
    hand_in(gradebook, person, offer, b"first")
    grade(gradebook, offer, score=None if status != "graded" else 3.0, status=status)

    answer = hand_in(gradebook, person, offer, b"second")

    assert isinstance(answer, Refusal) is counts


def test_the_mark(gradebook: Gradebook, person: Person) -> None:
    """The best or the last graded attempt counts, after what lateness costs, by arrival."""
    rules = {"due": NOW, "late": Late(percent_per_day=50)}
    best, last = offer_of(**rules), offer_of(**rules, counts="last")
    for offer in (best, last):
        for hours, score in ((-1, 6.0), (1, 10.0), (30, 10.0), (40, None)):
            hand_in(gradebook, person, offer, b"%d" % hours, NOW + dt.timedelta(hours=hours))
            grade(gradebook, offer, score=score, status="graded" if score else "grader_error")
    with gradebook.begin() as connection:
        marks = [mark_of(attempts_of(connection, assignment=o.id), o, Extension()) for o in (best, last)]
        extended = mark_of(attempts_of(connection, assignment=best.id), best, Extension(NOW + dt.timedelta(hours=2), 0))

    assert [(mark.attempt.number, mark.points) for mark in marks if mark] == [(1, 6.0), (3, 0.0)]
    assert extended is not None
    assert (extended.attempt.number, extended.points) == (2, 10.0)


def test_first_results_come_before_judging_again(gradebook: Gradebook, person: Person) -> None:
    """Those who wait for their first result are not behind a whole class that is judged again."""
    offer = offer_of()
    hand_in(gradebook, person, offer, b"old")
    old = grade(gradebook, offer, score=1.0)
    new = hand_in(gradebook, person, offer, b"new")
    assert isinstance(new, Attempt)
    with gradebook.begin() as connection:
        assert judge_again(connection, [old.id, new.id]) == 1
        again = find_attempt(connection, old.id)
        assert again is not None
        assert (again.state, again.score, again.result) == ("queued", 1.0, "key")
        assert places_in_queue(connection, [offer.id]) == {new.id: 1}
        assert places_in_queue(connection, ["another"]) == {}
        order = [claim(connection, "h", [offer.id], NOW), claim(connection, "h", [offer.id], NOW)]

    assert [taken.id for taken in order if taken] == [new.id, old.id]


def test_a_roster_keeps_those_who_left(gradebook: Gradebook) -> None:
    """They can no longer sign in, but what they handed in stays; who comes back is the same person."""
    with gradebook.begin() as connection:
        everybody = [Listed(p.student, p.name, p.email, p.is_staff) for p in people(connection)]
        assert enrol(connection, [*everybody, Listed("zoe", "Zoë")], by="prof", now=NOW)[0] == 1
        zoe = find_student(connection, "zoe")
        assert enrol(connection, everybody, by="prof", now=NOW, is_whole=True)[2] == 1
        assert find_student(connection, "zoe") is None
        assert enrol(connection, [Listed("zoe", "Zoë")], by="prof", now=NOW)[1] == 1
        assert find_student(connection, "zoe") == zoe


def test_withholding(gradebook: Gradebook, person: Person) -> None:
    """From one or from all, twice is once, and releasing ends it."""
    offer = offer_of()
    with gradebook.begin() as connection:
        for whom in (person, None, person):
            hold(connection, offer.id, whom, by="prof", now=NOW)
        assert held(connection, offer.id) == {person.id, None}
        let_go(connection, offer.id, None, by="prof", now=NOW)
        assert held(connection, offer.id) == {person.id}


class Servers(RuleBasedStateMachine):
    """Two servers take attempts from one queue, live on, finish, stop, and are killed, while students hand in."""

    place = ""

    def __init__(self) -> None:
        super().__init__()
        self.gradebook = Gradebook(self.place)
        self.offer = offer_of()
        student = f"s{next(NAMES)}"
        with self.gradebook.begin() as connection:
            enrol(connection, [Listed(student)], by="test", now=NOW)
            person = find_student(connection, student)
        assert person is not None
        self.person, self.now = person, NOW
        self.names = {"left": "left 0", "right": "right 0"}
        self.taken: dict[str, list[Attempt]] = {"left": [], "right": []}
        self.results: dict[int, int] = {}
        self.accepted: list[int] = []

    def teardown(self) -> None:
        self.gradebook.close()

    @rule()
    def hand_in(self) -> None:
        taken = hand_in(self.gradebook, self.person, self.offer, b"%d" % next(NAMES), self.now)
        if isinstance(taken, Attempt):
            self.accepted.append(taken.id)

    @rule(who=st.sampled_from(["left", "right"]))
    def take(self, who: str) -> None:
        with self.gradebook.begin() as connection:
            busy = [attempt.id for attempt in self.taken[who]]
            attempt = claim(connection, self.names[who], [self.offer.id], self.now, busy=busy)
        if attempt is not None:
            assert attempt.id not in self.results
            assert attempt.id not in [mine.id for mine in self.taken[who]]
            self.taken[who].append(attempt)

    @precondition(lambda self: any(self.taken.values()))
    @rule(who=st.sampled_from(["left", "right"]))
    def finish(self, who: str) -> None:
        if not self.taken[who]:
            return
        attempt = self.taken[who].pop(0)
        with self.gradebook.begin() as connection:
            values = {"result": "key", "status": "graded", "score": 1.0, "max_score": 1.0}
            if finish(connection, attempt, self.names[who], **values, now=self.now):  # type: ignore[arg-type]
                self.results[attempt.id] = self.results.get(attempt.id, 0) + 1

    @rule(who=st.sampled_from(["left", "right"]))
    def live(self, who: str) -> None:
        with self.gradebook.begin() as connection:
            prolong(connection, self.names[who], self.now)

    @rule(who=st.sampled_from(["left", "right"]), is_orderly=st.booleans())
    def end(self, who: str, is_orderly: bool) -> None:
        if is_orderly:
            with self.gradebook.begin() as connection:
                give_back(connection, self.names[who])
        self.names[who] = f"{who} {next(NAMES)}"
        self.taken[who] = []

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.now += dt.timedelta(seconds=seconds)

    @invariant()
    def no_attempt_has_two_results(self) -> None:
        assert all(number == 1 for number in self.results.values())

    @rule()
    def everything_is_graded_in_the_end(self) -> None:
        self.now += 2 * LEASE
        name = f"last {next(NAMES)}"
        while True:
            with self.gradebook.begin() as connection:
                attempt = claim(connection, name, [self.offer.id], self.now)
                if attempt is None:
                    break
                values = {"result": "key", "status": "graded", "score": 1.0, "max_score": 1.0}
                assert finish(connection, attempt, name, **values, now=self.now)  # type: ignore[arg-type]
            self.results[attempt.id] = self.results.get(attempt.id, 0) + 1
        assert sorted(self.results) == self.accepted


def test_servers_that_die(database: str) -> None:
    """No attempt is lost, and none is finished twice."""
    with contextlib.closing(Gradebook(database)) as opened:
        migrate(opened)

    class Here(Servers):
        place = database

    few = settings(max_examples=12, stateful_step_count=25, deadline=None, phases=[Phase.explicit, Phase.generate])
    case = Here.TestCase
    case.settings = few
    case("runTest").runTest()  # type: ignore[no-untyped-call]


def test_a_clock_that_was_far_ahead(gradebook: Gradebook, person: Person) -> None:
    """Nobody waits until then for another attempt, nor for a server that was killed meanwhile."""
    year, offer = dt.timedelta(days=365), offer_of(cool_down_minutes=5)
    with gradebook.begin() as connection:
        first = accept(connection, person, offer, file="a.ipynb", content=b"one", now=NOW + year)
        taken = claim(connection, "killed", [offer.id], NOW + year)
        assert taken == find_attempt(connection, first.id)  # type: ignore[union-attr]
        soon = accept(connection, person, offer, file="a.ipynb", content=b"two", now=NOW + year - MINUTE)
        assert isinstance(soon, Refusal)
        assert isinstance(accept(connection, person, offer, file="a.ipynb", content=b"two", now=NOW), Attempt)
        again = claim(connection, "next", [offer.id], NOW)
        assert again is not None
        assert again.id == first.id  # type: ignore[union-attr]
