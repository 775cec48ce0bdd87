"""
The words of the page: what an outcome, a link of the chain and a case are called, and how foreign text is shown.
"""

from __future__ import annotations

import dataclasses
import re

from grader.model import Outcome

__all__ = ["CASES", "LINKS", "MAX_SENTENCE", "VERDICTS", "Verdict", "clip", "visible"]

MAX_SENTENCE = 600


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome for people, in three ways at once: a symbol, a word and a colour (`kind`)."""

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

LINKS = {
    "right": Verdict("✓", "Right", "right"),
    "inherits": Verdict("↳", "Right, but fed a mistake", "open"),
    "wrong": Verdict("✗", "Wrong by itself", "wrong"),
    "broken": Verdict("!", "No gradient", "wrong"),
    "open": Verdict("○", "Nothing yet", "open"),
    "unreached": Verdict("–", "Not reached", "unknown"),
    "undecided": Verdict("?", "Not graded", "unknown"),
}

CASES = {
    "mnist": "A batch of MNIST digits that you can look at, with the true upstream gradients.",
    "mnist_hidden": "Another batch of digits, of another size: numbers and variables of the notebook do not fit it.",
    "vjp": "Random upstream gradients and a third batch size: whoever ignores what comes from above goes wrong.",
    "linear": "A second set of upstream gradients: the result has to be linear in them.",
}


_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe"
    "\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""
    Replace characters that control, reorder or hide by ones that can be seen; tabs and newlines stay.

    >>> visible("a\x1b[31mb\u202ec")
    'a⟨U+001B⟩[31mb⟨U+202E⟩c'
    """
    return _HIDDEN.sub(_shown, text.replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"


def clip(text: str, limit: int = MAX_SENTENCE) -> str:
    """The first `limit` characters, and how many more there are."""
    more = len(text) - limit
    return text if more <= 0 else f"{text[:limit]} … ({more:,} more characters)"
