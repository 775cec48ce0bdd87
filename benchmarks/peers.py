"""
The contenders: each grades submissions, and returns the time and the score.

Each peer has its own environment, which `venv` and pip make on first use, with the same PyTorch as here. It is set up
as its documentation says; where that leaves a choice, in the way that is fastest for it.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import nbformat
import torch
from classroom import ASSIGNMENT, REFERENCE, Classroom, HandedIn
from nbclient import NotebookClient

from grader import __version__
from grader.assignment.load import Assignment
from grader.notebook.read import read_submission
from grader.pipeline import grade
from grader.reference.cases import build_cases
from grader.reports.write import write_reports

__all__ = ["PEERS", "Contender", "Floor", "Graded", "Nbclient", "Nbgrader", "Otter", "ThisGrader"]

HERE = Path(__file__).parent
TORCH = f"torch=={version('torch').partition('+')[0]}"
_TESTS = f"import torch\n{REFERENCE}"


class Graded(NamedTuple):
    """The time of one grading, and its score; None if the contender gives no marks."""

    seconds: float
    score: float | None


class Contender(Protocol):
    """
    Something that grades.

    Attributes:
        at_once: Whether it is fastest with the whole class in one call.
    """

    name: str
    at_once: bool

    def grade(self, submissions: Sequence[HandedIn]) -> list[Graded]:
        """Grade submissions one after the other."""

    def close(self) -> None:
        """End its processes."""


class ThisGrader:
    """`grader.pipeline.grade`, and writing both reports."""

    name = "grader, warm"
    at_once = False

    def __init__(self, assignment: Assignment, folder: Path) -> None:
        self.assignment = assignment
        self.reports = folder / "reports"

    def grade(self, submissions: Sequence[HandedIn]) -> list[Graded]:
        """Grade in this process."""
        return [self._grade(handed_in) for handed_in in submissions]

    def _grade(self, handed_in: HandedIn) -> Graded:
        started = time.perf_counter()
        report = grade(read_submission(handed_in.path), self.assignment)
        write_reports(report, self.reports, ("html", "json"))
        return Graded(time.perf_counter() - started, report.score)

    def close(self) -> None:
        """Do nothing: its processes end with this one."""


class Floor:
    """The same cells and functions in a fork of a warm process; see `floor.py`."""

    name = "floor: forked IPython shell"
    at_once = False

    def __init__(self, assignment: Assignment, folder: Path) -> None:
        calls = [
            (name, [list(case.arguments.values()) for case in cases]) for name, cases in build_cases(assignment).items()
        ]
        path = folder / "floor" / "calls.pt"
        path.parent.mkdir()
        torch.save(calls, path)
        command = [sys.executable, str(HERE / "floor.py"), str(path)]
        self._process = _Conversation(command, {"OMP_NUM_THREADS": "1"}, log=path.with_name("log"))

    def grade(self, submissions: Sequence[HandedIn]) -> list[Graded]:
        """Run each. Nothing is compared, so there is no score."""
        answers = [self._process.ask(path=str(handed_in.path)) for handed_in in submissions]
        if not all(answer["done"] for answer in answers):
            raise RuntimeError("The floor could not run a notebook or call a function.")
        return [Graded(answer["seconds"], None) for answer in answers]

    def close(self) -> None:
        """End the warm process."""
        self._process.close()


class Nbclient:
    """nbclient with a fresh, ordinary kernel for each notebook, and a cell of asserts for each exercise."""

    name = "nbclient, fresh kernel"
    at_once = False

    def __init__(self, classroom: Classroom, folder: Path) -> None:
        self.classroom = classroom
        self.folder = folder / "nbclient"
        self.folder.mkdir()

    def grade(self, submissions: Sequence[HandedIn]) -> list[Graded]:
        """Execute each, and count the points of the cells that do not raise."""
        return [self._grade(handed_in) for handed_in in submissions]

    def _grade(self, handed_in: HandedIn) -> Graded:
        started = time.perf_counter()
        notebook = nbformat.read(handed_in.path, as_version=4)
        exercises = self.classroom.source.exercises
        tests = [_TESTS, *(self.classroom.test_of(exercise) for exercise in exercises)]
        notebook.cells += [nbformat.v4.new_code_cell(test) for test in tests]
        resources = {"metadata": {"path": str(self.folder)}}
        NotebookClient(
            notebook,
            kernel_name="python3",
            allow_errors=True,
            timeout=120,
            resources=resources,
            extra_arguments=["--log-level=ERROR"],
        ).execute()
        score = sum(
            exercise.points
            for exercise, cell in zip(reversed(exercises), reversed(notebook.cells), strict=False)
            if not any(output.output_type == "error" for output in cell.outputs)
        )
        return Graded(time.perf_counter() - started, score)

    def close(self) -> None:
        """Do nothing: each kernel has ended with its notebook."""


class Nbgrader:
    """`nbgrader autograde` without changes: one call for the whole class, divided by the number of submissions."""

    name = "nbgrader autograde"
    at_once = True

    def __init__(self, classroom: Classroom, folder: Path, environment: Environment) -> None:
        self.environment = environment
        self.course = folder / "course"
        source = self.course / "source" / ASSIGNMENT
        source.mkdir(parents=True)
        nbformat.write(_nbgrader_source(classroom), source / f"{ASSIGNMENT}.ipynb")
        (self.course / "nbgrader_config.py").write_text(
            'c = get_config()\nc.CourseDirectory.course_id = "course"\n', encoding="utf-8"
        )
        self._run("generate_assignment", ASSIGNMENT)
        self.released = self.course / "release" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"

    def grade(self, submissions: Sequence[HandedIn]) -> list[Graded]:
        """Autograde them in one call."""
        for name in ("submitted", "autograded"):
            shutil.rmtree(self.course / name, ignore_errors=True)
        for handed_in in submissions:
            notebook = nbformat.read(self.released, as_version=4)
            for cell in notebook.cells:
                name = cell.metadata.get("nbgrader", {}).get("grade_id")
                if name in handed_in.answers:
                    cell.source = handed_in.answers[name]
            folder = self.course / "submitted" / handed_in.name / ASSIGNMENT
            folder.mkdir(parents=True)
            nbformat.write(notebook, folder / self.released.name)
        started = time.perf_counter()
        self._run("autograde", ASSIGNMENT)
        seconds = (time.perf_counter() - started) / len(submissions)
        self._run("export", "--to", "grades.csv")
        with (self.course / "grades.csv").open(encoding="utf-8", newline="") as file:
            scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
        return [Graded(seconds, scores[handed_in.name]) for handed_in in submissions]

    def close(self) -> None:
        """Do nothing: no process of it is running."""

    def _run(self, *arguments: str) -> None:
        self.environment.run("-m", "nbgrader", *arguments, folder=self.course)


class Otter:
    """Otter without a container, by its Python interface; see `otter_driver.py`."""

    name = "otter, no container"
    at_once = False

    def __init__(self, classroom: Classroom, folder: Path, environment: Environment) -> None:
        tests = folder / "otter" / "tests"
        tests.mkdir(parents=True)
        for exercise in classroom.source.exercises:
            body = textwrap.indent(classroom.test_of(exercise), "    ")
            (tests / f"{exercise.name}.py").write_text(
                f"from otter.test_files import test_case\n\nOK_FORMAT = False\nname = {exercise.name!r}\n"
                f"points = {exercise.points!r}\n\n{_TESTS}\n\n@test_case()\n"
                f"def test_{exercise.name}({exercise.name}, init_parameters, forward):\n{body}",
                encoding="utf-8",
            )
        environment.run(
            "-m", "otter", "generate", "--no-requirements", "--no-environment", "--no-config", folder=tests.parent
        )
        driver = [str(environment.python), str(HERE / "otter_driver.py"), str(tests.parent / "autograder.zip")]
        self._process = _Conversation(driver, environment.variables, log=tests.parent / "log")

    def grade(self, submissions: Sequence[HandedIn]) -> list[Graded]:
        """Grade each in the process that has imported otter."""
        answers = [self._process.ask(path=str(handed_in.path)) for handed_in in submissions]
        return [Graded(answer["seconds"], answer["score"]) for answer in answers]

    def close(self) -> None:
        """End that process."""
        self._process.close()


class Environment:
    """
    A virtual environment for a peer, made if it does not exist.

    Args:
        package: The peer's name for pip.
        folder: The folder with all environments.
    """

    def __init__(self, package: str, folder: Path) -> None:
        self.package = package
        self.folder = folder / package
        self.python = self.folder / "bin" / "python"
        jupyter = self.folder / "jupyter"
        self.variables = {  # as in an activated environment, without the user's own settings
            "PATH": os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)]),
            "JUPYTER_CONFIG_DIR": str(jupyter),
            "JUPYTER_DATA_DIR": str(jupyter),
        }
        stamp = self.folder / "installed.json"
        wanted = json.dumps([TORCH, "matplotlib", "ipykernel", package, f"grader=={__version__}"])
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            print(f"Installing {package} into {self.folder} ...", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", self.folder], check=True)
            for requirements in ([TORCH, "matplotlib", "ipykernel", package], ["--no-deps", str(HERE.parent)]):
                self.run("-m", "pip", "install", "--quiet", *requirements, folder=self.folder)
            stamp.write_text(wanted, encoding="utf-8")

    @property
    def version(self) -> str:
        """The version of the peer."""
        code = f"from importlib.metadata import version; print(version({self.package!r}))"
        return self.run("-c", code, folder=self.folder).strip()

    def run(self, *arguments: str, folder: Path) -> str:
        """Run the environment's Python, and return what it printed."""
        command = [str(self.python), *arguments]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | self.variables, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout


PEERS: dict[str, tuple[str | None, Any]] = {
    "nbclient": (None, Nbclient),
    "nbgrader": ("nbgrader", Nbgrader),
    "otter": ("otter-grader", Otter),
}
"""By name: what to install into its environment, and the contender."""


class _Conversation:
    """A process that answers each line of JSON with another line."""

    def __init__(self, command: Sequence[str], variables: dict[str, str], *, log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | variables,
            )

    def ask(self, **question: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended too early:\n{self._log.read_text()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()


def _nbgrader_source(classroom: Classroom) -> nbformat.NotebookNode:
    """The instructor's notebook, with nbgrader's metadata: who writes each cell, and its points."""
    exercises = {exercise.index: exercise for exercise in classroom.source.exercises}
    first = min(exercises)
    notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    )
    for index, cell in enumerate(classroom.source.notebook.cells):
        if index == first:
            notebook.cells.append(_marked(_TESTS, "reference", locked=True))
        if index in exercises:
            exercise = exercises[index]
            notebook.cells.append(_marked(cell.source, exercise.name, solution=True))
            test = classroom.test_of(exercise)
            notebook.cells.append(
                _marked(test, f"test_{exercise.name}", locked=True, grade=True, points=exercise.points)
            )
        elif cell.cell_type == "code":
            notebook.cells.append(nbformat.v4.new_code_cell(cell.source))
        else:
            notebook.cells.append(nbformat.v4.new_markdown_cell(cell.source))
    return notebook


def _marked(source: str, name: str, **marks: bool | float) -> nbformat.NotebookNode:
    mark = {"grade_id": name, "schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
    cell: nbformat.NotebookNode = nbformat.v4.new_code_cell(source, metadata={"nbgrader": {**mark, **marks}})
    return cell
