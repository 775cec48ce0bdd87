"""The links, paths, modules and messages on the pages exist, and no table stands on two pages."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:benchmarks|ci|docs|grader|tests)/[\w./-]+)`")
MODULE = re.compile(r"`grader((?:\.\w+)+)`")
MESSAGES = {"instructors.md": "## Troubleshooting", "authors.md": "## What goes wrong"}
LONG_CELL = 40


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [page.parent / link for link in LINK.findall(text)]
    paths = [ROOT / path for path in PATH.findall(text)]

    assert [str(path) for path in links + paths if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_modules_exist(page: Path) -> None:
    """A dotted name is a module, or what a module defines."""
    for dotted in MODULE.findall(page.read_text(encoding="utf-8")):
        path = (ROOT / "grader").joinpath(*dotted.split(".")[1:])
        assert path.with_suffix(".py").is_file() or path.parent.with_suffix(".py").is_file(), dotted


def test_no_table_row_occurs_twice() -> None:
    """A table stands on one page, and the others link to it."""
    rows = Counter(
        cell.strip()
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
        for cell in line.split("|")
        if len(cell.strip()) > LONG_CELL
    )

    assert [row for row, times in rows.items() if times > 1] == []


@pytest.mark.parametrize("page", MESSAGES)
def test_messages_that_are_explained_exist(page: str) -> None:
    """`…` stands for whatever the grader fills in."""
    section = (DOCS / page).read_text(encoding="utf-8").partition(MESSAGES[page])[2]
    first_cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    quoted = [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]
    texts = list(texts_of_the_grader())

    assert quoted
    missing = [
        message
        for message in quoted
        if not any(re.search(".*".join(map(re.escape, message.split("…"))), text, re.DOTALL) for text in texts)
    ]
    assert missing == []


def texts_of_the_grader() -> Iterator[str]:
    """Every string in the package, with `…` for what an f-string fills in."""
    for path in (ROOT / "grader").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
