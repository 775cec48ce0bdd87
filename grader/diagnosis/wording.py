"""
The words of diagnoses, read from the tables in `texts/`. A translation needs to change that folder only.
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
    """The table with this name, `edits`, `hints` or `observations`, in the order of its file."""
    text = importlib.resources.files("grader.diagnosis").joinpath(f"texts/{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def observation(key: str, *, is_gradient: bool = True, **facts: object) -> str:
    """The observation with this key, about a gradient or a value of the forward pass, with its facts filled in."""
    texts = table("observations")
    text = texts[key] if is_gradient else texts.get(f"{key}_of_value", texts[key])
    return str(text).format(**facts)


def worded(
    diagnosis_id: str,
    message: str,
    facts: dict[str, str],
    *,
    level: int,
    misconception: Misconception | None = None,
    is_gradient: bool = True,
) -> Diagnosis:
    """
    A diagnosis with as many hints as the assignment allows.

    Args:
        message: What was observed.
        facts: What the placeholders in hints stand for.
        level: 0 for the observation only; 1 for one hint; 2 for two hints and an analogy; 3 for all three hints.
        misconception: A misconception of the author's, whose hints and analogy replace those in the table.
        is_gradient: Whether it is about a gradient, not about a value of the forward pass.
    """
    entry = table("hints").get(diagnosis_id if is_gradient else "of_value", {})
    if misconception is not None:
        all_hints, analogy = list(misconception.hints), misconception.analogy
    else:
        all_hints = [hint.format(**facts) for hint in entry.get("hints", ())]
        analogy = entry.get("analogy", "").strip()
    hints = all_hints[:level]
    return Diagnosis(
        id=diagnosis_id,
        message=message,
        hint=hints[0] if hints else "",
        more=tuple(hints[1:]),
        analogy=analogy if level >= 2 else "",
    )
