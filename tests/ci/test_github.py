"""The action's steps, run as GitHub runs them; the workflows, validated by GitHub's schemas."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import junitparser
import pytest
import yaml
from markdown_it import MarkdownIt

from tests.ci.runner import Job, Runner
from tests.conftest import ROOT, SOURCES
from tests.warm import WarmGrader

WORKFLOWS = sorted((ROOT / "ci" / "github").glob("*.yml"))
CHECK = [str(Path(sys.executable).with_name("check-jsonschema")), "--regex-variant", "python", "--builtin-schema"]


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.stem)
def test_github_schemas_accept_it(path: Path) -> None:
    schema = "vendor.github-actions" if path.stem == "action" else "vendor.github-workflows"

    done = subprocess.run([*CHECK, schema, str(path)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pass_valid_inputs_to_the_action(path: Path) -> None:
    """They also keep no token beside the student's code, may not write, and do not use `pull_request_target`."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]

    (action,) = (step for step in steps if step["uses"].startswith("your-course/grader"))
    assert action["with"].keys() <= inputs.keys()
    assert all(name in action["with"] for name, spec in inputs.items() if spec.get("required"))
    assert all(s["with"]["persist-credentials"] is False for s in steps if s["uses"].startswith("actions/checkout"))
    assert "pull_request_target" not in workflow[True]
    assert workflow["permissions"]["contents"] == "read"
    assert all("run" not in step for step in steps)


def run(path: str, repository: Path, notebook: str, **inputs: str) -> Job:
    temporary = repository.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    runner = Runner(repository, temporary, path=path)
    job = runner.run({"notebook": notebook, **inputs}, ACTIONS_TOKEN="secret of the job")
    assert "forged" not in {p.get("title") for _, p, _ in job.commands}
    assert {name for name, _, _ in job.commands} <= {"error", "warning", "notice"}
    assert not any(message.startswith("owned") for _, _, message in job.commands)
    assert "secret of the job" not in job.log + job.summary
    return job


def shown(job: Job, kind: str) -> list[str]:
    return [properties["title"] for name, properties, _ in job.commands if name == kind]


@pytest.mark.slow
def test_a_perfect_submission(installed: str, repository: Path) -> None:
    job = run(installed, repository, "perfect.ipynb")

    assert job.code == 0, job.log
    assert (shown(job, "error"), shown(job, "warning")) == ([], [])
    assert [message for name, _, message in job.commands if name == "notice"] == ["10 of 10 points"]
    assert job.outputs == {
        "score": "10.0",
        "max-score": "10.0",
        "exit-code": "0",
        "report": "grader-reports/perfect.html",
        "junit": "grader-reports/perfect.xml",
    }
    assert (repository / job.outputs["report"]).read_text(encoding="utf-8").startswith("<!")
    assert "actions/upload-artifact@v4" in job.used
    assert "xychart-beta" in job.summary
    assert job.environment == {}


@pytest.mark.slow
def test_a_wrong_gradient_is_annotated_at_its_line(warm_grader: WarmGrader, repository: Path) -> None:
    """The annotation has a hint, the summary and JUnit agree with it, and the job fails."""
    job = run(warm_grader.path, repository, "wrong.ipynb")

    lines = (repository / "wrong.ipynb").read_text(encoding="utf-8").split("\n")
    ((_, properties, message),) = [command for command in job.commands if command[0] == "error"]
    assert job.code == 1
    assert properties["file"] == "wrong.ipynb"
    assert "def grad_z1(" in lines[int(properties["line"]) - 1]
    assert properties["title"] == "grad_z1: Wrong values"
    assert message.count("\n") >= 1, "the diagnosis and a first hint"
    assert "8 of 10" in job.summary
    suite = next(iter(junitparser.JUnitXml.fromfile(str(repository / job.outputs["junit"]))))
    assert (suite.tests, suite.failures) == (7, 1)


@pytest.mark.slow
def test_a_hanging_submission_costs_its_own_points(warm_grader: WarmGrader, repository: Path, tmp_path: Path) -> None:
    """The instructor's limits apply."""
    solutions = tmp_path / "solutions"
    solutions.mkdir()
    text = (SOURCES / "two_layer_mse.md").read_text(encoding="utf-8")
    (solutions / "two_layer_mse.md").write_text(
        text.replace("  steps: 20\n", "  steps: 20\n  limits: {call_cpu_s: 1, cell_cpu_s: 1}\n")
    )

    job = run(warm_grader.path, repository, "hanging.ipynb", solutions=str(solutions), **{"hidden-seed": "12"})

    assert job.code == 1
    assert shown(job, "error") == ["grad_b1: Timed out"]
    assert job.outputs["score"] == "9.0"


@pytest.mark.slow
def test_a_hostile_submission_gives_no_commands(installed: str, repository: Path) -> None:
    """Whatever it prints, raises or uses as a name stays text in the log, the annotations and the summary."""
    job = run(installed, repository, "hostile.ipynb", **{"hidden-seed": "987654321"})

    assert job.code == 1
    assert shown(job, "error") == ["grad_w1: Raised an error", "grad_b1: Raised an error"]
    assert job.outputs["exit-code"] == "1"
    assert "987654321" not in job.log + job.summary
    assert "GITHUB_" not in job.log + job.summary
    page = MarkdownIt("gfm-like", {"linkify": False}).render(job.summary)
    assert page.count("<tr>") == 8
    assert page.count("<h2>") == 1


@pytest.mark.slow
def test_a_blank_submission_and_a_hostile_file_name(warm_grader: WarmGrader, repository: Path) -> None:
    """Blanks are warnings. The file's name contains commands for the shell and for the runner, but is only a name."""
    name = "a'b $(touch owned)\n::error::owned.ipynb"
    (repository / "blank.ipynb").rename(repository / name)

    job = run(warm_grader.path, repository, name)

    assert job.code == 1
    assert not (repository / "owned").exists()
    assert len(shown(job, "warning")) == 7
    assert shown(job, "error") == []
    assert job.outputs["score"] == "0.0"


@pytest.mark.slow
def test_a_file_that_cannot_be_read_has_a_report(warm_grader: WarmGrader, repository: Path) -> None:
    job = run(warm_grader.path, repository, "cut.ipynb", assignment="two_layer_mse", fail="false")

    assert job.code == 0
    assert (job.outputs["score"], job.outputs["max-score"], job.outputs["exit-code"]) == ("0.0", "10.0", "2")


@pytest.mark.slow
def test_a_missing_notebook_fails_the_job(warm_grader: WarmGrader, repository: Path) -> None:
    job = run(warm_grader.path, repository, "nowhere.ipynb", fail="false")

    assert job.code == 2
    assert "There is no file nowhere.ipynb" in job.log
    assert shown(job, "error") == ["Nothing could be graded"]


@pytest.mark.parametrize("link", ["two_layer_mse.md", "homework"])
def test_a_link_to_the_solution_is_not_followed(warm_grader: WarmGrader, repository: Path, link: str) -> None:
    """A link to the solution, or to its folder, would get full marks."""
    solutions = repository / "solutions"
    solutions.mkdir()
    shutil.copy(SOURCES / "two_layer_mse.md", solutions)
    (repository / link).symlink_to(solutions / link if link.endswith(".md") else solutions)
    notebook = link if link.endswith(".md") else f"{link}/two_layer_mse.md"

    job = run(warm_grader.path, repository, notebook, solutions="solutions", fail="false")

    assert job.code == 2
    assert f"{link} is a link" in job.log
    assert job.outputs["score"] == ""


@pytest.mark.parametrize("breaks", ["runs_on: ubuntu", "steps: {uses: x}"])
def test_the_schema_rejects_errors(tmp_path: Path, breaks: str) -> None:
    workflow = yaml.safe_load(WORKFLOWS[0].read_text(encoding="utf-8"))
    next(iter(workflow["jobs"].values())).update(yaml.safe_load(breaks))
    path = tmp_path / "workflow.yml"
    path.write_text(yaml.safe_dump({("on" if key is True else key): value for key, value in workflow.items()}))

    done = subprocess.run([*CHECK, "vendor.github-workflows", str(path)], capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stdout
