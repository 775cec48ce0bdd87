"""The answers with known causes are as their README says, and the benchmark counts them as it says."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from benchmarks import mistakes
from benchmarks.mistakes import OTHER, RIGHT, Answer, Measured, Verdict, read_answers, table, wilson
from grader.errors import UsageError
from tests.conftest import ROOT, SOURCES, assignment_called

README = (ROOT / "benchmarks" / "mistakes" / "README.md").read_text(encoding="utf-8")
CAUSES = set(
    re.findall(r"^\| `(\w+)` \| [a-z]", README.partition("## The causes")[2].partition("\n## ")[0], re.MULTILINE)
)


def test_there_are_enough_of_each_assignment() -> None:
    answers = read_answers(mistakes.SHIPPED)
    wrong = Counter(answer.assignment for answer in answers if answer.cause != RIGHT)
    right = Counter(answer.assignment for answer in answers if answer.cause == RIGHT)
    assert set(wrong) == set(right) == {path.stem for path in SOURCES.glob("*.md")}
    assert min(wrong.values()) >= 15
    assert min(right.values()) >= 18
    assert (wrong.total() >= 120, right.total() >= 150) == (True, True)


def test_each_answer_is_a_function_with_a_cause_of_the_list() -> None:
    assert len(CAUSES) > 30
    for answer in read_answers(mistakes.SHIPPED):
        where = f"{answer.assignment} #{answer.number}"
        names = {exercise.name for exercise in assignment_called(answer.assignment).exercises}
        assert answer.exercise in names, where
        assert f"{answer.exercise}(" in answer.code, where
        assert {answer.cause, *answer.also} <= CAUSES | {RIGHT, OTHER}, where
        assert answer.cause not in answer.also, where


def test_shares_are_counted() -> None:
    kinds = [Verdict.RIGHTLY] * 6 + [Verdict.WRONGLY] * 2 + [Verdict.NOT_NAMED] * 2
    wrong = [measured("sign", kind) for kind in kinds]
    right = [measured(RIGHT, Verdict.FINE)] * 3 + [measured(RIGHT, Verdict.INVENTED)]
    text = "\n".join(table([*wrong, *right]))
    assert "precision of the first diagnosis    75.0 %" in text
    assert "coverage                            80.0 %" in text
    assert "invented                            25.0 %" in text


def test_an_interval_holds_its_share() -> None:
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
    for part in range(11):
        low, high = wilson(part, 10)
        assert low <= part / 10 <= high


def test_what_is_held_out_is_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert mistakes.main([str(mistakes.HELD_OUT), "--list"]) == 2
    assert "held out" in capsys.readouterr().err


def test_other_folders_are_refused_in_a_sentence(tmp_path: object) -> None:
    with pytest.raises(UsageError, match="There are no answers"):
        read_answers(tmp_path)  # type: ignore[arg-type]


def measured(cause: str, verdict: Verdict) -> Measured:
    answer = Answer(assignment="a", number=1, exercise="grad_b1", code="", cause=cause)
    return Measured(answer=answer, verdict=verdict, diagnosis=None, message="")
