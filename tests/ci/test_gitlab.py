"""The job's script runs as GitLab runs it, its results are read as GitLab reads them, and a schema accepts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import ROOT
from tests.exports.readers import CODE_QUALITY, gitlab_junit
from tests.warm import WarmGrader

TEMPLATE = ROOT / "ci" / "gitlab" / ".gitlab-ci.yml"
BIN = Path(sys.executable).parent


def job() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))["gradients"]
    return read


def run(path: str, repository: Path, notebook: str) -> tuple[int, str]:
    """Run the script: each command only if the one before succeeded."""
    script = "\n".join(job()["script"]).replace("/opt/grader/assignments", str(ROOT / "assignments"))
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=repository,
        env={"PATH": path, "HOME": str(repository), "NOTEBOOK": notebook},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("breaks", ["", "artifacts: {when: sometimes}"])
def test_gitlab_schema_accepts_it(tmp_path: Path, breaks: str) -> None:
    """It rejects a template with an error."""
    template = {"gradients": job() | yaml.safe_load(breaks or "{}")}
    path = tmp_path / "ci.yml"
    path.write_text(yaml.safe_dump(template))

    done = subprocess.run(
        [BIN / "check-jsonschema", "--regex-variant", "python", "--builtin-schema", "vendor.gitlab-ci", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode == 0) is not bool(breaks), done.stdout


@pytest.mark.slow
def test_gitlab_finds_a_wrong_gradient(warm_grader: WarmGrader, repository: Path) -> None:
    """In JUnit, in Code Quality at its line, and in the report that the merge request links to."""
    code, log = run(warm_grader.path, repository, "wrong.ipynb")

    assert code == 1, log
    artifacts = job()["artifacts"]
    files = [repository / path for path in (*artifacts["paths"], *artifacts["reports"].values())]
    assert all(path.is_file() for path in files)
    cases = gitlab_junit((repository / artifacts["reports"]["junit"]).read_text(encoding="utf-8"))
    assert [case["name"] for case in cases if case["status"] == "failure"] == ["grad_z1"]
    assert len(cases) == 7
    (issue,) = json.loads((repository / artifacts["reports"]["codequality"]).read_text(encoding="utf-8"))
    jsonschema.validate([issue], CODE_QUALITY)
    lines = (repository / issue["location"]["path"]).read_text(encoding="utf-8").split("\n")
    assert "def grad_z1(" in lines[issue["location"]["lines"]["begin"] - 1]


@pytest.mark.slow
def test_a_missing_notebook_fails_the_job(warm_grader: WarmGrader, repository: Path) -> None:
    code, log = run(warm_grader.path, repository, "nowhere.ipynb")

    assert code == 2
    assert "There is no file nowhere.ipynb" in log
    assert "Traceback" not in log
