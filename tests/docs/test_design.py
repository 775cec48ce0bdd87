"""The glossary and the floor plan of docs/design.md."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "grader"
MOST_WORDS = 25


def rows(heading: str) -> dict[str, str]:
    """The tables of a section: the first cell of each row, and the second."""
    section = PAGE.split(f"\n## {heading}\n")[1].partition("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {first.strip(): second.strip() for first, second in cells if set(first) - set("- ")}


def test_the_glossary_is_short() -> None:
    """At most 25 words, each with one sentence."""
    glossary = rows("The words")
    del glossary["word"]

    assert len(", ".join(glossary).split(", ")) <= MOST_WORDS
    for word, sentence in glossary.items():
        assert sentence.endswith("."), word
        assert not re.search(r"[.?!] [A-Z]", sentence), word


def test_the_floor_plan_names_every_folder() -> None:
    """And every name in it is a folder or a module of the package."""
    named = set(re.findall(r"`(\w+)`", " ".join(rows("The floor plan"))))
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders - named == set()
    assert [name for name in named if not (PACKAGE / name).is_dir() and not (PACKAGE / f"{name}.py").is_file()] == []
