"""
The words of the page: names for outcomes, links of the chain and cases, and how text from elsewhere is shown.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from grader.model import Outcome

__all__ = ["CASES", "LINKS", "MAX_SENTENCE", "NEXT_STEPS", "VERDICTS", "Verdict", "clip", "visible", "what_case_is"]

MAX_SENTENCE = 600


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """How people see an outcome: a symbol, a word and a colour (`kind`)."""

    symbol: str
    word: str
    kind: str


VERDICTS = {
    Outcome.MATCH: Verdict("✓", "Right", "right"),
    Outcome.MISMATCH: Verdict("✗", "Wrong values", "wrong"),
    Outcome.WRONG_SHAPE: Verdict("✗", "Wrong shape", "wrong"),
    Outcome.WRONG_DTYPE: Verdict("✗", "Wrong dtype", "wrong"),
    Outcome.WRONG_TYPE: Verdict("✗", "Wrong type", "wrong"),
    Outcome.NOT_FINITE: Verdict("✗", "Not finite", "wrong"),
    Outcome.RAISED: Verdict("!", "Raised an error", "wrong"),
    Outcome.SYNTAX_ERROR: Verdict("!", "Syntax error", "wrong"),
    Outcome.TIMED_OUT: Verdict("!", "Timed out", "wrong"),
    Outcome.OUT_OF_MEMORY: Verdict("!", "Out of memory", "wrong"),
    Outcome.CRASHED: Verdict("!", "Crashed", "wrong"),
    Outcome.FORBIDDEN: Verdict("⊘", "Not allowed", "wrong"),
    Outcome.MISSING: Verdict("○", "Missing", "open"),
    Outcome.BLANK: Verdict("○", "Blank", "open"),
    Outcome.SKIPPED: Verdict("?", "Not graded", "unknown"),
    Outcome.GRADER_ERROR: Verdict("?", "Not graded", "unknown"),
}

NEXT_STEPS = {
    "wrong": "Look again at",
    "open": "Still to do",
    "unknown": "Could not be graded, which costs you no points",
}
"""What the summary says before the names of the exercises, by their verdicts' `kind`."""

LINKS = {
    "right": Verdict("✓", "Right", "right"),
    "inherits": Verdict("↳", "Right, but its input is wrong", "open"),
    "wrong": Verdict("✗", "Wrong", "wrong"),
    "forbidden": Verdict("⊘", "Not allowed", "wrong"),
    "broken": Verdict("!", "No gradient", "wrong"),
    "open": Verdict("○", "Blank or missing", "open"),
    "unreached": Verdict("–", "Not reached", "unknown"),
    "undecided": Verdict("?", "Not graded", "unknown"),
}

CASES = {
    "mnist": "The public batch of {name}, with the true upstream gradients.",
    "mnist_hidden": "Other {rows}, in a batch of another size: variables and constants of the notebook do not fit.",
    "vjp": "Random upstream gradients and a third batch size: the result has to use these gradients.",
    "linear": "A second set of random upstream gradients: the result has to be linear in them.",
}


WITHOUT_UPSTREAM = {
    "mnist": "The public batch of {name}.",
    "vjp": "Other {rows}, in a third batch size: no size of the notebook fits.",
    "linear": "The batch of the case before, once more.",
}
"""In place of `CASES`, for what takes no upstream gradients."""


def what_case_is(name: str, data: Mapping[str, str], *, takes_upstream: bool) -> str:
    """
    What a case is made of, a sentence; empty for a case of the author's own.

    Args:
        takes_upstream: Whether the function takes upstream gradients.

    >>> what_case_is("mnist_hidden", {"rows": "words"}, takes_upstream=True).partition(",")[0]
    'Other words'
    """
    words = {"name": "the data", "rows": "rows", **data} if data else {"name": "MNIST digits", "rows": "digits"}
    cases = CASES if takes_upstream else CASES | WITHOUT_UPSTREAM
    return cases[name].format(**words) if name in cases else ""


_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe"
    "\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""
    Replace characters that control, reorder or hide text by visible codes; tabs and newlines stay.

    >>> visible("a\x1b[31mb\u202ec")
    'a⟨U+001B⟩[31mb⟨U+202E⟩c'
    """
    return _HIDDEN.sub(_code_point, text.replace("\r\n", "\n"))


def _code_point(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"


def clip(text: str, limit: int = MAX_SENTENCE) -> str:
    """The first `limit` characters of a text, and how many more there are."""
    more = len(text) - limit
    return text if more <= 0 else f"{text[:limit]} … ({more:,} more characters)"
