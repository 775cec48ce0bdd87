"""No file advises anybody to install `grader` from a package index, because that distribution is not ours."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from grader import __version__
from grader.shipped import DISTRIBUTION
from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = ("grader", DISTRIBUTION)
COMMAND = re.compile(
    r"\b(?:pip[\d.]*|uv|uv pip|uv tool|pipx|poetry|conda)[ ](?:install|download|wheel|add|run)\b(?P<what>[^\n`;|&]*)"
    r"|\buvx\b(?P<run>[^\n`;|&]*)"
)
LIST = re.compile(
    r"dependencies\b\W*?[:=]\s*(?P<what>\[(?:(?!\n\n).)*?\](?=\s*(?:#|$))|(?:\n\s*- .*)+)", re.DOTALL | re.MULTILINE
)
REQUIREMENT = re.compile(r"(?<![\w./-])(?P<name>(?:backprop-)?grader)(?![\w./-])(?!\[?[\w,]*\]?\s*@)")


def asked_for(name: str, text: str) -> Iterator[str]:
    """What a text asks an index for, if that is `grader`, or our own name, which nothing is published under."""
    text = re.sub(r"\\\n\s*", "", text)
    text = re.sub(r"['\"],\s*['\"]", " ", text)  # a command as a list of words
    parts = [match["what"] or match["run"] or "" for match in COMMAND.finditer(text)]
    parts += [match["what"] for match in LIST.finditer(text)]
    if re.search(r"(requirements|constraints)[^/]*\.(txt|in)$", name):
        parts += text.splitlines()
    for part in parts:
        yield from (match["name"] for match in REQUIREMENT.finditer(part.partition(" #")[0]))


def tracked_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".gz", ".png"):
            yield name, path.read_bytes().decode("utf-8", "replace")


def test_no_file_says_to_install_it() -> None:
    found = {name: names for name, text in tracked_texts() if (names := list(asked_for(name, text)))}

    assert found == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "Then `pip install '{}[cluster]'`."),
        ("a.md", "pip install \\\n    --quiet {}>=1"),
        ("a.yml", "run: python -m pip install -U {}"),
        ("a.py", 'run([python, "-m", "pip", "install", "{}"])'),
        ("a.md", "uv add {}"),
        ("a.md", "uvx {} doctor"),
        ("a.md", "pipx install {}"),
        ("ci/requirements-dev.txt", "numpy\n{}\n"),
        ("a.toml", 'dependencies = [\n    "numpy",\n    "{}[cluster]>=0.1",\n]'),
        ("a.yaml", "additional_dependencies: [{}]"),
        ("environment.yml", "dependencies:\n  - python\n  - {}\n"),
    ],
)
@pytest.mark.parametrize("distribution", NAMES)
def test_the_scan_finds_it(name: str, text: str, distribution: str) -> None:
    assert list(asked_for(name, text.replace("{}", distribution))) == [distribution]


@pytest.mark.parametrize(
    "text",
    [
        "pip install '.[cluster]'  # the grader, from a clone",
        f"pip install '{DISTRIBUTION}[cluster] @ git+ADDRESS'",
        "`pip install otter-grader` is another grader",
        "grader doctor",
        "pip uninstall grader",
    ],
)
def test_the_scan_finds_nothing_else(text: str) -> None:
    assert list(asked_for("a.md", text)) == []


def test_the_distribution_has_our_name() -> None:
    """In pyproject.toml, and in the environment that this test runs in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["name"] == DISTRIBUTION
    assert project["scripts"].keys() == {"grader"}
    assert importlib.metadata.version(DISTRIBUTION) == __version__
