"""Readers of the exports, written from the documentation of GitHub, GitHub Classroom, GitLab and Gradescope."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
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


def classroom(environment: dict[str, str]) -> dict[str, Any]:
    """What Classroom's reporter reads: the points in its table, the points that it sends, and whether it fails."""
    shown = sent = most = 0.0
    failed = False
    for runner in environment["GRADER_RUNNERS"].split(","):
        result = json.loads(base64.b64decode(environment[f"{runner.upper()}_RESULTS"]))
        assert result["version"] == 1
        assert result["status"] in ("pass", "fail", "error")
        assert all(test["status"] in ("pass", "fail", "error") for test in result["tests"])
        passed = [test["status"] for test in result["tests"]].count("pass")
        failed = failed or result["status"] != "pass"
        if result["max_score"]:
            shown += passed / len(result["tests"]) * result["max_score"]
            most += result["max_score"]
        sent += sum(test["score"] for test in result["tests"])
    return {"shown": shown, "sent": sent, "most": most, "failed": failed}


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
