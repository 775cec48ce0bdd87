"""What the class page says about exercises and mistakes."""

from __future__ import annotations

import dataclasses
import statistics

import pytest

from grader.classroom.measures import FEWEST_STUDENTS, Item, compared_totals, discrimination, items_of
from grader.classroom.overview import Overview, build_overview
from grader.classroom.records import Entry
from grader.model import Diagnosis, Flag, Outcome, PartResult
from grader.reports.reading import Finding
from tests.classroom.class_samples import entry_of, large_class


def overview_of(entries: list[Entry]) -> Overview:
    return build_overview(entries, [], title="A network", facts=[])


def with_parts(student: str, wrong: str = "", diagnoses: tuple[Diagnosis, ...] = ()) -> Entry:
    """A student of a notebook with one function, whose parts have a point each."""
    entry = entry_of(student)
    parts = tuple(
        PartResult(name=name, outcome=outcome, points=float(outcome is Outcome.MATCH), max_points=1.0)
        for name in ("loss", "dw", "db", "dx")
        for outcome in [Outcome.MISMATCH if name in wrong.split() else Outcome.MATCH]
    )
    points = sum(part.points for part in parts)
    finding = Finding(
        name="step",
        outcome=Outcome.MISMATCH if wrong else Outcome.MATCH,
        points=points,
        max_points=4.0,
        diagnoses=diagnoses,
        parts=parts,
    )
    report = dataclasses.replace(entry.report, findings=(finding,), score=points, max_score=4.0)
    return dataclasses.replace(entry, report=report)


# --------------------------------------------------------------------------------------------------------- exercises


def test_an_exercise_is_compared_with_everything_else() -> None:
    """Not with a total that contains it."""
    reports = [entry.report for entry in large_class(40) if not entry.report.is_undecided]
    item = items_of(reports)["grad_z1", ""]

    own = [finding.points for report in reports for finding in report.findings if finding.name == "grad_z1"]
    rest = [report.score - points for report, points in zip(reports, own, strict=True)]
    assert item.points == tuple(own)
    assert item.rest == tuple(rest)
    assert discrimination(item) == pytest.approx(statistics.correlation(own, rest))


@pytest.mark.parametrize(
    ("points", "rest"),
    [
        ((0, 1) * 4 + (1,), (1, 2) * 4 + (1,)),  # nine students
        ((1,) * 12, (1, 2) * 6),
        ((0, 1) * 6, (3,) * 12),
        ((), ()),
    ],
)
def test_without_enough_students_or_differences_there_is_no_correlation(
    points: tuple[float, ...], rest: tuple[float, ...]
) -> None:
    assert discrimination(Item("f", "", points, rest)) is None


def test_an_exercise_that_tells_nobody_apart_is_marked() -> None:
    """Here, those who are good at everything else have grad_b1 wrong."""
    good = [entry_of(str(n), "grad_b1:#x") for n in range(6)]
    bad = [entry_of(str(10 + n), "grad_yhat:#a grad_w2:#a grad_w1:#a") for n in range(6)]

    rows = {row.name: row for row in overview_of([*good, *bad]).exercises}

    assert rows["grad_b1"].is_weak
    assert rows["grad_b1"].apart == "−1.00"
    assert not rows["grad_w2"].is_weak
    assert rows["grad_a1"].apart == ""  # everybody has it right
    assert {row.apart for row in overview_of(good[:4] + bad[:4]).exercises} == {""}


def test_points_given_by_hand_say_nothing_about_an_exercise() -> None:
    from grader.model import Adjustment

    entry = entry_of("1", "grad_b1:#x")
    findings = [
        dataclasses.replace(
            finding,
            points=1.0,
            adjustment=Adjustment(exercise="grad_b1", points=1.0, comment="", reason="late", graded=0.0),
        )
        if finding.name == "grad_b1"
        else finding
        for finding in entry.report.findings
    ]
    report = dataclasses.replace(entry.report, findings=tuple(findings), score=10.0)

    assert items_of([report])["grad_b1", ""].points == (0.0,)


def test_parts_with_points_have_rows_of_their_own() -> None:
    rows = overview_of([with_parts("1", "dw"), with_parts("2", "dw db"), with_parts("3")]).exercises

    assert [(row.name, row.is_part, row.right) for row in rows] == [
        ("step", False, "33 %"),
        ("loss", True, "100 %"),
        ("dw", True, "33 %"),
        ("db", True, "67 %"),
        ("dx", True, "100 %"),
    ]


@pytest.mark.parametrize(
    ("entries", "labels"),
    [
        ([with_parts("1", "dw"), with_parts("2")], ["0", "1", "2", "3", "4"]),
        ([entry_of("1", "grad_w1:#a"), entry_of("2")], [str(n) for n in range(11)]),
        ([], []),
    ],
)
def test_a_bar_for_each_number_of_points(entries: list[Entry], labels: list[str]) -> None:
    bars = overview_of(entries).bars

    assert [bar.label for bar in bars] == labels
    assert sum(bar.count for bar in bars) == len(entries)


@pytest.mark.parametrize("total", [4.0, 300.0])
def test_many_or_broken_numbers_of_points_have_ranges(total: float) -> None:
    entry = with_parts("1")
    odd = dataclasses.replace(entry, report=dataclasses.replace(entry.report, score=1.3, max_score=total))

    bars = overview_of([odd]).bars

    assert len(bars) == 11
    assert bars[0].label == f"0 to below {total / 10:g}"


# ---------------------------------------------------------------------------------------------------------- mistakes


def test_all_explained_mistakes_of_a_function_with_parts_are_there() -> None:
    first, second = Diagnosis(id="sign", message="Of dw."), Diagnosis(id="transposed", message="Of db.")

    groups = overview_of([with_parts("1", "dw db", (first, second)), with_parts("2", "db", (second,))]).diagnoses

    assert [(group.title, group.message, len(group.students)) for group in groups] == [
        ("transposed", "Of db.", 2),
        ("sign", "Of dw.", 1),
    ]


def test_of_other_functions_the_first_explanation_counts() -> None:
    entry = entry_of("1", "grad_z1:missing_mask")
    findings = tuple(
        dataclasses.replace(finding, diagnoses=(*finding.diagnoses, Diagnosis(id="sign", message="Or this.")))
        if finding.diagnoses
        else finding
        for finding in entry.report.findings
    )
    entry = dataclasses.replace(entry, report=dataclasses.replace(entry.report, findings=findings))

    assert [group.title for group in overview_of([entry]).diagnoses] == ["missing mask"]


def test_a_mistake_says_how_its_students_do() -> None:
    having = [entry_of(str(n), "grad_z1:missing_mask grad_w1:#a") for n in range(4)]
    others = [entry_of(str(10 + n)) for n in range(8)]

    (group,) = overview_of([*having, *others]).diagnoses

    assert group.note == "Those who make it have 6.0 points on average, the others 10.0."
    assert overview_of([*having[:2], *others]).diagnoses[0].note == "", "two students are no group"
    assert overview_of([*having, *others[:3]]).diagnoses[0].note == "", "the class is small"
    assert compared_totals([*having, *others], {entry.file for entry in having}) == (6.0, 10.0)


def test_a_rare_answer_that_two_students_share_is_worth_a_look() -> None:
    """It accuses nobody. In a small class nothing is rare, and what a third one gives is not, either."""
    pair = [entry_of(name, "grad_z1:#odd grad_w1:#strange") for name in ("a", "b")]
    others = [entry_of(str(n), "grad_b1:#often" if n % 2 else "") for n in range(FEWEST_STUDENTS)]

    (group,) = overview_of([*pair, *others]).flags

    assert group.title == "The same rare wrong answer"
    assert [student.name for student in group.students] == ["a", "b"]
    assert group.where == "grad_z1, grad_w1"
    assert group.message == "2 wrong answers that nothing explains, and that nobody else gave."
    assert group.note.endswith("It proves nothing.")
    assert overview_of([*pair, *others[:5]]).flags == ()
    third = entry_of("c", "grad_z1:#odd grad_w1:#strange")
    assert overview_of([*pair, third, *others]).flags == ()


def test_the_name_of_a_function_begins_a_sentence_as_it_is_written() -> None:
    """Of a flag, only a piece of a sentence is kept."""
    flag = Flag(id="autograd", exercise="grad_w1", evidence="when called, it used autograd")
    entry = entry_of("1", flags=(flag,))
    stuck = Finding(
        name="grad_w1", outcome=Outcome.TIMED_OUT, points=0.0, max_points=1.0, message="grad_w1 did not return."
    )
    report = dataclasses.replace(entry.report, findings=(stuck,))

    groups = overview_of([dataclasses.replace(entry, report=report)]).flags

    assert {group.message for group in groups} == {"When called, it used autograd", "grad_w1 did not return."}
