"""Readers of the exports, written from the documentation of GitHub, Classroom 50, GitLab and Gradescope."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GITHUB_COMMAND = re.compile(r"^\s*::(?P<name>[\w-]+)(?: (?P<properties>[^:]*(?:(?<!:):(?!:)[^:]*)*))?::(?P<data>.*)$")
OLD_COMMAND = re.compile(r"##\[(?P<name>[\w-]+)[^\]]*\](?P<data>.*)$")


def read_commands(log: str) -> list[tuple[str, dict[str, str], str]]:
    """The workflow commands that GitHub's runner finds in the output of a step: name, properties, message."""
    commands, token = [], None
    for line in re.split(r"\r\n|\r|\n", log):
        if token is not None:
            if line.strip() == f"::{token}::":
                token = None
            continue
        match = GITHUB_COMMAND.match(line)
        if match is None:
            old = OLD_COMMAND.search(line)
            if old:
                commands.append((old["name"], {}, old["data"]))
            continue
        if match["name"] == "stop-commands":
            token = match["data"]
            continue
        pairs = (pair.partition("=") for pair in (match["properties"] or "").split(",") if pair)
        properties = {key: _unescaped(value, ("%3A", ":"), ("%2C", ",")) for key, _, value in pairs}
        commands.append((match["name"], properties, _unescaped(match["data"])))
    return commands


def _unescaped(text: str, *more: tuple[str, str]) -> str:
    for escape, character in (*more, ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(escape, character)
    return text


def read_environment(text: str) -> dict[str, str]:
    """The variables in a file such as GITHUB_ENV or GITHUB_OUTPUT."""
    values: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, separator, value = line.partition("=")
        if not separator or "<<" in name:
            name, _, delimiter = line.partition("<<")
            assert delimiter, f"not a line that a runner takes: {line!r}"
            content = []
            for each in lines:
                if each == delimiter:
                    break
                content.append(each)
            value = "\n".join(content)
        values[name] = value
    return values


CLASSROOM50_IDENTITY = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}
CLASSROOM50_MOST_BYTES = 10 * 1024 * 1024


@dataclasses.dataclass
class Published:
    """What Classroom 50 makes of a run: its status, the result that it keeps, and whether it publishes a release."""

    status: str
    result: dict[str, Any]
    body: str
    summary: str

    @property
    def is_released(self) -> bool:
        return self.status != "error"


def classroom50(code: int, folder: Path, outputs: str, variables: Mapping[str, str]) -> Published:
    """
    What Classroom 50's runner does when an autograder has ended.

    Args:
        code: Its exit code.
        folder: Where it ran.
        outputs: What it has written to the file GITHUB_OUTPUT.
        variables: Those that it was given.
    """
    told = read_environment(outputs)
    summary = told.get("summary", "")
    assert "\n" not in summary
    assert len(summary) <= 140
    try:
        result = classroom50_result((folder / "result.json").read_bytes(), variables)
        assert code == 0
    except (AssertionError, LookupError, OSError, TypeError, ValueError):
        return Published(status="error", result={"score": 0, "max-score": 0, "tests": []}, body="", summary=summary)
    status = "success" if all(test["passed"] for test in result["tests"]) else "failure"
    body = folder / "release-body.md"
    return Published(
        status=told.get("status", status),
        result=result,
        body=body.read_text(encoding="utf-8") if body.is_file() else "",
        summary=summary,
    )


def classroom50_result(content: bytes, variables: Mapping[str, str]) -> dict[str, Any]:
    """Read a `result.json` as the strictest of Classroom 50's readers does. No field is one that the runner writes."""
    assert len(content) <= CLASSROOM50_MOST_BYTES
    result = json.loads(content.decode("utf-8"), parse_constant=_no_number)
    assert isinstance(result, dict)
    assert result.keys() == {"schema", *CLASSROOM50_IDENTITY, "score", "max-score", "tests"}
    assert result["schema"] == "classroom50/result/v1"
    for field, variable in CLASSROOM50_IDENTITY.items():
        assert result[field], field
        assert result[field] == variables[variable], field
    assert result["submission"].startswith("submit/")
    assert isinstance(result["tests"], list)
    for test in result["tests"]:
        assert isinstance(test["test-name"], str)
        assert test["test-name"]
        assert type(test["passed"]) is bool
    for part in (result, *result["tests"]):
        assert type(part["score"]) is int
        assert type(part["max-score"]) is int
        assert 0 <= part["score"] <= part["max-score"]
    return result


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


CLASSROOM50_RUNTIME = {"runs-on", "python", "node", "java", "go", "rust", "apt", "container"}


def validate_classroom50_entry(entry: Any) -> None:
    """Check what Classroom 50 wants of `release_assets` and `runtime` in the entry of an assignment."""
    paths = entry["release_assets"]
    names = [path.rpartition("/")[2] for path in paths]
    assert 0 < len(paths) <= 50
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_-]([A-Za-z0-9._-]*[A-Za-z0-9_-])?", name), name
        assert name != "result.json"
    runtime = entry["runtime"]
    assert runtime.keys() <= CLASSROOM50_RUNTIME
    assert all(isinstance(runtime[name], str) for name in runtime.keys() & {"python", "runs-on"})
    assert not {"apt", "container"} <= runtime.keys()
    assert runtime.get("container", {}).keys() <= {"image", "user"}


def gitlab_junit(text: str) -> list[dict[str, Any]]:
    """The test cases that GitLab's parser reads: the text inside an element counts, its attributes do not."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for case in ET.fromstring(text).iter("testcase"):
        status, shown = "success", ""
        for tag in ("failure", "error", "skipped"):
            element = case.find(tag)
            if element is not None:
                status, shown = tag, element.text or ""
                break
        one = {"suite": case.get("classname"), "name": case.get("name"), "file": case.get("file")}
        found.setdefault((case.get("classname", ""), case.get("name", "")), {**one, "status": status, "output": shown})
    return list(found.values())


VISIBILITIES = ("hidden", "after_due_date", "after_published", "visible")
FORMATS = ("text", "html", "simple_format", "md", "ansi")
TOP = {
    "score": (int, float),
    "execution_time": (int, float),
    "output": str,
    "output_format": FORMATS,
    "test_output_format": FORMATS,
    "test_name_format": FORMATS,
    "visibility": VISIBILITIES,
    "stdout_visibility": VISIBILITIES,
    "extra_data": dict,
    "tests": list,
    "leaderboard": list,
}
TEST = {
    "score": (int, float),
    "max_score": (int, float),
    "status": ("passed", "failed"),
    "name": str,
    "name_format": FORMATS,
    "number": str,
    "output": str,
    "output_format": FORMATS,
    "tags": list,
    "visibility": VISIBILITIES,
    "extra_data": dict,
}


def validate_gradescope(content: Any) -> None:
    """Check every field of `results.json` against Gradescope's specification, and that the points add up."""
    _fields(content, TOP, "results.json")
    tests = content.get("tests", [])
    assert "score" in content or any("score" in test for test in tests), "no score at all"
    for test in tests:
        _fields(test, TEST, test.get("name", "a test"))
        assert test.get("output", "").isprintable() or not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", test["output"])
        assert all(isinstance(tag, str) for tag in test.get("tags", []))
        if "score" in test:
            assert 0 <= test["score"] <= test["max_score"]
    if content.get("score") is not None and all("score" in test for test in tests):
        assert abs(content["score"] - sum(test["score"] for test in tests)) < 1e-9


def _fields(content: Any, allowed: dict[str, Any], where: str) -> None:
    assert isinstance(content, dict), where
    for name, value in content.items():
        assert name in allowed, f"{where}: there is no field {name}"
        kind = allowed[name]
        if isinstance(kind, tuple) and isinstance(kind[0], str):
            assert value in kind, f"{where}: {name} is {value!r}"
        else:
            assert isinstance(value, kind), f"{where}: {name} is {value!r}"
            assert not isinstance(value, bool)


CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "type": {"const": "issue"},
            "description": {"type": "string", "minLength": 1, "pattern": "^[^\n]*$"},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
