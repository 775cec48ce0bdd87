"""Runs our composite action: its steps in bash, as GitHub starts them, with the files that they write to."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT
from tests.exports.readers import read_commands, read_environment

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
NAME = re.compile(r"\b(?:inputs|steps|runner|github)\.[\w.-]+")


@dataclasses.dataclass
class Job:
    """The results of the steps: `log` is what a reader sees, `code` is the exit code of the last step that ran."""

    code: int = 0
    log: str = ""
    summary: str = ""
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)
    used: list[str] = dataclasses.field(default_factory=list)

    @property
    def commands(self) -> list[tuple[str, dict[str, str], str]]:
        """The workflow commands that the runner would obey."""
        return read_commands(self.log)


class Runner:
    """
    Runs `action.yml` in a workspace, the student's repository.

    Args:
        path: The variable `PATH`, in which a `grader` is installed.
    """

    def __init__(self, workspace: Path, temporary: Path, *, path: str) -> None:
        self._workspace, self._temporary, self._path = workspace, temporary, path
        self._action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))

    def run(self, inputs: Mapping[str, str], **environment: str) -> Job:
        """Run the action until a step fails."""
        defaults = {name: str(spec.get("default", "")) for name, spec in self._action["inputs"].items()}
        values = {f"inputs.{name}": value for name, value in (defaults | dict(inputs)).items()}
        values |= {"runner.temp": str(self._temporary), "runner.os": "Linux", "runner.arch": "X64"}
        job = Job()
        for number, step in enumerate(self._action["runs"]["steps"]):
            if not _is_true(step.get("if", "true"), values):
                continue
            if "uses" in step:
                job.used.append(step["uses"])  # another action, which this cannot run
                continue
            assert "${{" not in step["run"], "a script must not contain an expression"
            variables = {name: _filled(text, values) for name, text in step.get("env", {}).items()}
            job.code = self._step(step, number, environment | job.environment | variables, job, values)
            if job.code:
                break
        for name, output in self._action["outputs"].items():
            job.outputs[name] = _filled(output["value"], values)
        return job

    def _step(self, step: Any, number: int, variables: Mapping[str, str], job: Job, values: dict[str, str]) -> int:
        files = {
            name: self._temporary / f"{name}-{number}"
            for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        }
        for file in files.values():
            file.touch()
        script = self._temporary / f"step-{number}.sh"
        script.write_text(step["run"], encoding="utf-8")
        assert step["shell"] == "bash"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self._workspace,
            env={
                "PATH": self._path,
                "HOME": str(self._temporary),
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self._workspace),
                "GITHUB_ACTION_PATH": str(ROOT),
                "RUNNER_TEMP": str(self._temporary),
                **variables,
                **{name: str(file) for name, file in files.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        job.log += done.stdout.decode("utf-8", "replace")
        job.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        job.environment |= read_environment(files["GITHUB_ENV"].read_text(encoding="utf-8"))
        for name, value in read_environment(files["GITHUB_OUTPUT"].read_text(encoding="utf-8")).items():
            values[f"steps.{step['id']}.outputs.{name}"] = value
        return done.returncode


def _filled(text: Any, values: Mapping[str, str]) -> str:
    return EXPRESSION.sub(lambda match: _value(match[1], values), str(text))


def _value(expression: str, values: Mapping[str, str]) -> str:
    if NAME.fullmatch(expression):
        return values.get(expression, "")
    return "true" if _is_true(expression, values) else "false"


def _is_true(condition: str, values: Mapping[str, str]) -> bool:
    python = NAME.sub(lambda match: repr(values.get(match[0], "")), condition)
    python = python.replace("&&", " and ").replace("||", " or ")
    return bool(eval(python, {"__builtins__": {}}, {"true": True, "false": False, "always": lambda: True}))
