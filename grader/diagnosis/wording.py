"""
The words of diagnoses, from the tables in `texts/`: one folder to translate.
"""

from __future__ import annotations

import functools
import importlib.resources
import sys
from typing import Any

from grader.assignment.misconceptions import Misconception
from grader.model import Diagnosis

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["observation", "table", "worded"]


@functools.cache
def table(name: str) -> dict[str, Any]:
    """One of the tables, `edits`, `hints` or `observations`, in its order."""
    text = importlib.resources.files("grader.diagnosis").joinpath(f"texts/{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def observation(key: str, **facts: object) -> str:
    """What was observed, in a sentence."""
    return str(table("observations")[key]).format(**facts)


def worded(
    diagnosis_id: str, message: str, facts: dict[str, str], *, level: int, misconception: Misconception | None = None
) -> Diagnosis:
    """
    A diagnosis with the hints that an instructor lets students see.

    Args:
        level: 0 what was observed; 1 a question as well; 2 a second one, and an analogy; 3 all three.
        misconception: The author's words, which take the place of those in the table.
    """
    entry = table("hints").get(diagnosis_id, {})
    if misconception is not None:
        ladder, analogy = list(misconception.hints), misconception.analogy
    else:
        ladder = [hint.format(**facts) for hint in entry.get("hints", ())]
        analogy = entry.get("analogy", "").strip()
    hints = ladder[:level]
    return Diagnosis(
        id=diagnosis_id,
        message=message,
        hint=hints[0] if hints else "",
        more=tuple(hints[1:]),
        analogy=analogy if level >= 2 else "",
    )
