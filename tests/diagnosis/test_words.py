"""What diagnoses say is short, in plain words, and fits what it is about."""

from __future__ import annotations

import re
import string

import pytest

from grader.diagnosis.mutants import EDITS
from grader.diagnosis.wording import table

HINTS = table("hints")
FACTS = {
    "function": "grad_w1",
    "part": "dw1",
    "target": "w1",
    "entry": "one entry of w1",
    "expected": "(784, 50)",
    "got": "(50, 784)",
    "arguments": "x, dz1",
}
FEWEST_WORDS, MOST_WORDS = 80, 160
"""Of the three hints and the analogy together."""
MOST_WORDS_OF_A_HINT = 40
HIGHEST_GRADE = 8.0
"""Of a school: Flesch and Kincaid's formula. What students of a course in English can read without effort."""


def grade_level(text: str) -> float:
    """
    The grade level of a text (Kincaid, Fishburne, Rogers and Chissom, 1975); syllables are groups of vowels.

    >>> grade_level("The cat sat on the mat.") < 2 < 12 < grade_level("Heterogeneous considerations predominate.")
    True
    """
    words = re.findall(r"[A-Za-z][A-Za-z’']*", text)
    sentences = max(1, len(re.findall(r"[.?!:](?:\s|$)", text)))
    return 0.39 * len(words) / sentences + 11.8 * sum(map(_syllables, words)) / len(words) - 15.59


def _syllables(word: str) -> int:
    groups = re.findall(r"[aeiouy]+", word.lower())
    is_silent = word.lower().endswith("e") and not word.lower().endswith("le") and len(groups) > 1
    return max(1, len(groups) - is_silent)


def test_the_formula_tells_plain_words_from_others() -> None:
    assert grade_level("Which index is left? Look at the shape of each row.") < HIGHEST_GRADE
    assert grade_level("Consider the dimensionality of the resulting multidimensional representation.") > HIGHEST_GRADE


@pytest.mark.parametrize("diagnosis", HINTS)
def test_a_ladder_of_hints_is_short_and_plain(diagnosis: str) -> None:
    hints = [hint.format(**FACTS) for hint in HINTS[diagnosis]["hints"]]
    words = len(" ".join((*hints, HINTS[diagnosis]["analogy"])).split())

    assert len(hints) == 3
    assert FEWEST_WORDS <= words <= MOST_WORDS
    assert max(len(hint.split()) for hint in hints) <= MOST_WORDS_OF_A_HINT
    assert grade_level(" ".join(hints)) <= HIGHEST_GRADE
    assert all("?" in hint for hint in hints) or any("?" in hint for hint in hints[:2]), "hints ask"


@pytest.mark.parametrize("diagnosis", HINTS)
def test_hints_do_not_say_that_examples_are_rows(diagnosis: str) -> None:
    """They may be the columns of a batch."""
    hints = " ".join(HINTS[diagnosis]["hints"])

    assert not re.search(r"batch of \w+ rows?|number of rows|rows of the batch", hints)


def test_observations_have_known_placeholders() -> None:
    known = {"function", "part", "target", "operand", "rows"}
    for edit in EDITS.values():
        for text in (edit.observation, edit.of_value, edit.of_other):
            assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= known
            assert not re.search(r"rows? of the batch", text.replace("{rows} of the batch", "")), edit.name
