"""The autograder for Classroom 50, started as its runner does, and what that makes of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.server
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.authoring.wheel import build_wheel, name_of_wheel
from tests.conftest import ROOT
from tests.exports.readers import Published, classroom50, read_commands, validate_classroom50_entry
from tests.exports.rendering import CLASSROOM50_VARIABLES
from tests.test_shipped import solutions_in
from tests.warm import WarmGrader

CI = ROOT / "ci" / "classroom50"
RELEASED = ROOT / "assignments" / "two_layer_mse"
NOTEBOOK = "two_layer_mse.ipynb"
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.edu", "GIT_CONFIG_GLOBAL": os.devnull}
GIT = IDENTITY | {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.edu", "PATH": os.environ["PATH"]}
CHECKOUT = os.environ.get("CLASSROOM50_CHECKOUT", "")
"""A checkout of Classroom 50 itself, for the test that runs its own scripts."""
SCRIPTS = Path(CHECKOUT, "cli", "gh-teacher", "skeleton", "dotgithub", "scripts")


@dataclasses.dataclass
class Run:
    """A run of the autograder."""

    published: Published
    log: str
    checkout: Path

    @property
    def score(self) -> tuple[int, int]:
        return self.published.result["score"], self.published.result["max-score"]

    @property
    def annotations(self) -> list[tuple[str, str]]:
        """The kind and the title of each command that GitHub obeys in the log."""
        return [(name, properties["title"]) for name, properties, _ in read_commands(self.log)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A student's repository with two commits: the blank notebook, and what it has now."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(RELEASED / NOTEBOOK, folder)
    (folder / ".classroom50.yaml").write_text("classroom: backprop-2026\n")
    commit(folder, "--initial")
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The folder with the autograder."""
    folder = tmp_path / "runner" / "bundle"
    folder.mkdir(parents=True)
    shutil.copy(CI / "autograder.py", folder)
    shutil.copy(RELEASED / "two_layer_mse.md", folder)
    return folder


def commit(folder: Path, *options: str) -> None:
    """Commit everything in the folder."""
    git = functools.partial(subprocess.run, cwd=folder, env=GIT, check=True, capture_output=True)
    if options:
        git(["git", "init", "--quiet"])
    git(["git", "add", "--all", "--force"])
    git(["git", "commit", "--quiet", "--allow-empty", "--message", "Work"])


def run(bundle: Path, checkout: Path, path: str, **variables: str) -> Run:
    """Run the autograder in the checkout, whose changes are its second commit. It must exit with 0."""
    commit(checkout)
    outputs = bundle.parent / "outputs"
    outputs.touch()
    home = bundle.parent.parent / "home"
    home.mkdir()
    environment = {"PATH": path, "HOME": str(home), "RUNNER_TEMP": str(bundle.parent)}
    done = subprocess.run(
        [sys.executable, str(bundle / "autograder.py")],
        cwd=checkout,
        env=environment | CLASSROOM50_VARIABLES | {"GITHUB_OUTPUT": str(outputs)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=120,
    )
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["bundle", "outputs"], "nothing is left over"
    published = classroom50(done.returncode, checkout, outputs.read_text(encoding="utf-8"), CLASSROOM50_VARIABLES)
    assert published.body, "there is a valid result, so the text is kept"
    assert {name for name, _, _ in read_commands(log)} <= {"error", "warning", "notice"}
    return Run(published, log, checkout)


@pytest.mark.slow
def test_all_right(bundle: Path, checkout: Path, repository: Path, warm_grader: WarmGrader) -> None:
    """With the files of an earlier run in the repository, which a student may have committed in any form."""
    shutil.copy(repository / "perfect.ipynb", checkout / NOTEBOOK)
    (checkout / "result.json").mkdir()
    (checkout / "release-body.md").symlink_to(checkout / NOTEBOOK)
    (checkout / "grader-reports").symlink_to(repository)

    done = run(bundle, checkout, warm_grader.path)

    assert (done.published.status, done.score) == ("success", (10, 10))
    assert [test["passed"] for test in done.published.result["tests"]] == [True] * 7
    assert done.published.summary == "10 of 10 points: 7 of 7 exercises are right."
    assert done.annotations == [("notice", "two_layer_mse, two_layer_mse")]
    assert "10 of 10 points" in done.published.body
    assert not (checkout / "grader-reports").is_symlink()
    assert (checkout / "grader-reports" / "report.html").read_text(encoding="utf-8").startswith("<!")
    assert not (repository / "report.html").exists()
    assert (checkout / NOTEBOOK).read_bytes() == (repository / "perfect.ipynb").read_bytes()


@pytest.mark.slow
def test_partly_right(bundle: Path, checkout: Path, repository: Path, warm_grader: WarmGrader) -> None:
    """The student reads why, in the result, in the release, and at the line."""
    shutil.copy(repository / "wrong.ipynb", checkout / NOTEBOOK)

    done = run(bundle, checkout, warm_grader.path)

    (wrong,) = [test for test in done.published.result["tests"] if not test["passed"]]
    ((_, properties, message),) = [command for command in read_commands(done.log) if command[0] == "error"]
    assert (done.published.status, done.published.is_released, done.score) == ("failure", True, (8, 10))
    assert (wrong["test-name"], wrong["score"], wrong["max-score"]) == ("grad_z1", 0, 2)
    assert wrong["message"] == message
    assert "def grad_z1(" in (checkout / NOTEBOOK).read_text().split("\n")[int(properties["line"]) - 1]
    assert properties["file"] == NOTEBOOK
    assert done.published.summary == "8 of 10 points: 6 of 7 exercises are right."
    assert "a hint</summary>" in done.published.body


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nothing", "link", "folder", "several", "cut", "another"])
def test_no_notebook(bundle: Path, checkout: Path, repository: Path, warm_grader: WarmGrader, kind: str) -> None:
    """That is the student's doing: no points, of as many as everybody can have."""
    notebook = checkout / NOTEBOOK
    notebook.unlink()
    if kind == "link":
        notebook.symlink_to(repository / "perfect.ipynb")
    elif kind == "folder":
        shutil.copytree(repository, notebook)
    elif kind == "several":
        for name in ("one.ipynb", "two.ipynb"):
            shutil.copy(repository / "perfect.ipynb", checkout / name)
    elif kind == "cut":
        shutil.copy(repository / "cut.ipynb", notebook)
    elif kind == "another":
        shutil.copy(ROOT / "assignments" / "attention" / "attention.ipynb", notebook)

    done = run(bundle, checkout, warm_grader.path)

    says = {
        "nothing": f"There is no notebook `{NOTEBOOK}` in this repository.",
        "link": f"`{NOTEBOOK}` is a link, and links are not followed.",
        "folder": f"There is no notebook `{NOTEBOOK}` in this repository, but several others.",
        "several": f"There is no notebook `{NOTEBOOK}` in this repository, but several others.",
    }.get(kind, "0 of 10 points: 0 of 7 exercises are right.")
    assert (done.published.status, done.published.is_released, done.score) == ("failure", True, (0, 10))
    assert done.published.summary == says
    assert kind in ("cut", "another") or done.published.body.startswith(says)
    assert len(done.published.result["tests"]) == 7


@pytest.mark.slow
def test_a_hostile_name(bundle: Path, checkout: Path, repository: Path, warm_grader: WarmGrader) -> None:
    """The only notebook is graded, in whatever folder. Its name has commands, for the shell and for the runner."""
    (checkout / NOTEBOOK).unlink()
    folder = checkout / "--help"
    folder.mkdir()
    name = b"-o a'b $(touch owned)\n::error::owned\n::set-output name=status::error\n##[error]owned\xff.ipynb"
    shutil.copy(repository / "hostile.ipynb", folder / os.fsdecode(name))

    done = run(bundle, checkout, warm_grader.path)

    assert done.published.is_released
    assert done.score == (7, 10)
    assert [title for kind, title in done.annotations if kind == "error"] == [
        "grad_w1: Raised an error",
        "grad_b1: Raised an error",
    ]
    assert not any(message.startswith("owned") for _, _, message in read_commands(done.log))
    assert not list(checkout.rglob("owned"))
    assert (checkout / "grader-reports" / "report.html").is_file()
    assert "GITHUB_" not in done.log + json.dumps(done.published.result)


BROKEN = {
    "no notebook beside it": "exit code 2",
    "a network that fails": "7 of 7 exercises could not be graded",
    "a sandbox that there is not": "exit code 2",
    "endless": "The time was up",
    "no grader": "no grader is installed",
    "a file that is no wheel": "could not be installed",
    "two wheels": "several wheels",
    "an error of its own": "raised FileNotFoundError",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN)
def test_a_fault_costs_nobody_points(bundle: Path, checkout: Path, warm_grader: WarmGrader, kind: str) -> None:
    """Nothing is published, so what was collected before stays. The student reads why."""
    path, variables = warm_grader.path, {}
    if kind == "no notebook beside it":
        (bundle / "two_layer_mse.md").unlink()
    elif kind == "a network that fails":
        change(bundle / "two_layer_mse.md", 'return {"z1"', 'assert len(x) == 64; return {"z1"')
    elif kind == "a sandbox that there is not":
        change(bundle / "autograder.py", 'SANDBOX = "filtered"', 'SANDBOX = "perfect"')
    elif kind == "endless":
        path = only(bundle.parent.parent / "bin", "grader", "#!/bin/sh\necho '::error::owned'\nsleep 100 & wait\n")
        variables = {"GRADER_TIMEOUT_S": "0.5"}
    elif kind == "no grader":
        path = only(bundle.parent.parent / "bin", "git", "")
    elif kind == "a file that is no wheel":
        (bundle / name_of_wheel()).write_text("")
    elif kind == "two wheels":
        for name in ("a-1-py3-none-any.whl", "b-1-py3-none-any.whl"):
            (bundle / name).write_text("")
    else:
        path = only(bundle.parent.parent / "bin", "grader", "#!/bin/no/shell\n")

    done = run(bundle, checkout, path, **variables)

    assert (done.published.status, done.published.is_released) == ("error", False)
    assert done.score[0] == 0
    assert BROKEN[kind] in done.published.body + done.published.summary
    assert "no points" in done.published.summary
    assert ("error", "Nothing could be graded") in done.annotations or done.score == (0, 10)
    assert not any(message == "owned" for _, _, message in read_commands(done.log))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def only(folder: Path, name: str, script: str) -> str:
    """The variable `PATH`, with one program beside those of the system."""
    folder.mkdir()
    (folder / name).write_text(script, encoding="utf-8")
    (folder / name).chmod(0o755)
    return os.pathsep.join([str(folder), "/usr/bin", "/bin"])


@pytest.mark.slow
def test_the_wheel_beside_it_is_installed(bundle: Path, checkout: Path, repository: Path) -> None:
    """
    Not imported from the student's repository, and not mixed up with a grader on the PATH.

    What the grader needs is not installed again: here it comes from the environment of the tests.
    """
    shutil.copy(repository / "perfect.ipynb", checkout / NOTEBOOK)
    (bundle / name_of_wheel()).write_bytes(build_wheel())
    shutil.copy(ROOT / "constraints.txt", bundle)
    for name in ("venv", "pip", "ensurepip", "torch", "grader"):
        (checkout / f"{name}.py").write_text("raise SystemExit('owned')\n")
    path = only(bundle.parent.parent / "bin", "grader", "#!/bin/sh\nexit 3\n")
    site = next(path for path in sys.path if path.endswith("site-packages"))

    done = run(bundle, checkout, path, PIP_NO_DEPS="1", PIP_NO_INDEX="1", PYTHONPATH=site)

    assert (done.published.status, done.score) == ("success", (10, 10))


def test_the_folder_may_be_public(bundle: Path) -> None:
    """It has no solution, and no more than Classroom 50 takes."""
    (bundle / name_of_wheel()).write_bytes(build_wheel())
    shutil.copy(ROOT / "constraints.txt", bundle)
    shutil.unpack_archive(bundle / name_of_wheel(), bundle.parent / "unpacked", "zip")

    assert list(solutions_in(bundle.parent)) == []
    assert "hidden_seed" not in (bundle / "two_layer_mse.md").read_text(encoding="utf-8")
    assert len(packed(bundle, "two-layer-mse")) < 10 * 2**20


def test_the_entry_attaches_the_report_and_asks_for_a_python() -> None:
    """The example, and the one on the page."""
    entry = json.loads((CI / "entry.json").read_text(encoding="utf-8"))
    (block,) = re.findall(r"^```json\n(.*?)^```$", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE | re.DOTALL)

    validate_classroom50_entry(entry)
    validate_classroom50_entry(entry | json.loads(block))
    script = (CI / "autograder.py").read_text(encoding="utf-8")
    assert [str(Path(*re.findall(r'"([^"]+)"', line))) for line in script.splitlines() if "REPORT =" in line] == (
        entry["release_assets"]
    )


# ---------------------------------------------------------------------------------------- Classroom 50's own scripts


def packed(bundle: Path, slug: str) -> bytes:
    """The folder as Classroom 50 publishes it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(bundle, arcname=slug)
    return content.getvalue()


@contextlib.contextmanager
def pages(folder: Path) -> Iterator[str]:
    """The address of a server with these files."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOUT, reason="CLASSROOM50_CHECKOUT names no checkout of Classroom 50")
@pytest.mark.parametrize(
    ("notebook", "status", "score"), [("perfect", "success", 10), ("wrong", "failure", 8), ("fault", "error", 0)]
)
def test_classroom50_itself_takes_the_result(
    bundle: Path,
    checkout: Path,
    repository: Path,
    warm_grader: WarmGrader,
    notebook: str,
    status: str,
    score: int,
) -> None:
    """Its runner starts the autograder, and its collector reads the result, but not one with a fraction."""
    classroom, slug = CLASSROOM50_VARIABLES["CLASSROOM"], CLASSROOM50_VARIABLES["ASSIGNMENT"]
    if notebook == "fault":
        (bundle / "two_layer_mse.md").unlink()
    else:
        shutil.copy(repository / f"{notebook}.ipynb", checkout / NOTEBOOK)
    commit(checkout)
    published = bundle.parent.parent / "pages"
    (published / classroom / "autograders").mkdir(parents=True)
    (published / classroom / "autograders" / f"{slug}.tar.gz").write_bytes(packed(bundle, slug))
    outputs = bundle.parent / "outputs"
    outputs.touch()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, env=GIT, check=True, capture_output=True)

    with pages(published) as address:
        subprocess.run(
            [sys.executable, str(SCRIPTS / "runner.py")],
            cwd=checkout,
            env=CLASSROOM50_VARIABLES
            | GIT
            | {
                "PATH": warm_grader.path,
                "HOME": str(bundle.parent),
                "RUNNER_TEMP": str(bundle.parent),
                "PAGES_BASE_URL": address,
                "GITHUB_OUTPUT": str(outputs),
                "GITHUB_REPOSITORY": f"course/{classroom}-{slug}-ada",
                "GITHUB_SHA": head.stdout.decode().strip(),
                "MODE": "individual",
                "RELEASE_ASSETS": json.dumps(json.loads((CI / "entry.json").read_text())["release_assets"]),
            },
            check=True,
            timeout=120,
        )

    result = json.loads((checkout / "result.json").read_text(encoding="utf-8"))
    assert f"status={status}" in outputs.read_text(encoding="utf-8").splitlines()
    assert result["score"] == score
    assert result["owner"] == "ada"
    accepted = verdict_of_the_collector(result, classroom, slug)
    assert accepted != verdict_of_the_collector(result | {"score": 0.5}, classroom, slug)
    assert accepted == verdict_of_the_collector(result | {"score": 0}, classroom, slug)


def verdict_of_the_collector(result: dict[str, Any], classroom: str, slug: str) -> object:
    """What the collector says about a result: the kind of what it returns or raises."""
    spec = importlib.util.spec_from_file_location("collect_scores", SCRIPTS / "collect_scores.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return kind_of(module.validate_result(result, classroom, slug, "ada"))
    except Exception as error:
        return f"raised {type(error).__name__}"


def kind_of(value: object) -> object:
    return [*map(kind_of, value)] if isinstance(value, tuple) else (type(value).__name__, bool(value))
