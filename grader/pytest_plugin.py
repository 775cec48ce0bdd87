"""
`pytest --grader-notebook alice.ipynb`: each exercise is a test, and its failure says what is wrong.

Every run of pytest in an environment with the grader imports this module, so nothing heavy is imported until a notebook
is to be graded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.sandbox.levels import Level

if TYPE_CHECKING:
    from grader.assignment.load import Assignment
    from grader.errors import GraderError
    from grader.exports.words import Harmless
    from grader.model import Submission
    from grader.reports.reading import Finding

__all__ = ["ExerciseItem", "NotebookFile", "pytest_addoption", "pytest_collect_file", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; without the first one, the others have no effect."""
    group = parser.getgroup("grader", "gradients in notebooks")
    group.addoption(
        "--grader-notebook",
        action="append",
        default=[],
        metavar="NOTEBOOK",
        help="grade this notebook: each exercise is a test (repeatable)",
    )
    group.addoption("--grader-assignment", metavar="ID", help="the assignment, if the notebook does not name it")
    group.addoption("--grader-solutions", metavar="DIR", type=Path, help="folder of source or of released notebooks")
    group.addoption("--grader-public", action="store_true", help="grade by autograd alone, without a solution")
    group.addoption(
        "--grader-require-sandbox",
        metavar="LEVEL",
        choices=tuple(level.label for level in Level),
        default="none",
        help="refuse to run the notebook in a sandbox below this level",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the notebooks: in addition to tests that are named, otherwise instead of the folder's tests."""
    wanted: list[str] = config.getoption("grader_notebook")
    if not wanted:
        return
    for notebook in wanted:
        if not (config.invocation_params.dir / notebook).is_file():
            raise pytest.UsageError(f"--grader-notebook: there is no file {notebook}.")
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []
    config.args += [notebook for notebook in wanted if notebook not in config.args]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a notebook that is to be graded."""
    config = parent.config
    wanted = {(config.invocation_params.dir / name).resolve() for name in config.getoption("grader_notebook")}
    if file_path.resolve() not in wanted:
        return None
    collector: pytest.Collector = NotebookFile.from_parent(parent, path=file_path)
    return collector


class NotebookFile(pytest.File):
    """A notebook. It is graded once, when the first of its exercises runs."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._report: Harmless | None = None
        self._fault: GraderError | None = None
        self._read: tuple[Submission, Assignment] | None = None
        self._secrets = [self.path.parent]

    def collect(self) -> Iterator[pytest.Item]:
        """The exercises of its assignment."""
        from grader.errors import GraderError
        from grader.execution.installed import require_for_grading

        try:
            require_for_grading("--grader-notebook")
        except GraderError as error:
            raise self.CollectError(str(error)) from error
        from grader.assignment.find import solutions_directory
        from grader.assignment.load import load_assignment
        from grader.notebook.read import read_submission
        from grader.pipeline import choose_assignment
        from grader.reports.terminal import for_terminal

        option = self.config.option
        try:
            submission = read_submission(self.path)
            directory = solutions_directory(option.grader_solutions, public=option.grader_public)
            source = choose_assignment(submission, directory, option.grader_assignment)
            assignment = load_assignment(source, hidden_seed=_hidden_seed(), public=option.grader_public)
        except GraderError as error:
            raise self.CollectError(for_terminal(str(error))) from error
        self._read = submission, assignment
        if not option.grader_public:
            self._secrets.append(source.parent)
        for exercise in assignment.exercises:
            yield ExerciseItem.from_parent(self, name=exercise.name)

    def report(self) -> Harmless:
        """
        The report on the notebook, as its student may see it.

        Raises:
            GraderError: The grader failed.
        """
        from grader.errors import GraderError
        from grader.exports.words import harmless
        from grader.pipeline import grade
        from grader.reports.json import report_to_dict
        from grader.reports.places import with_places
        from grader.reports.reading import read_report
        from grader.visibility import views_of

        if self._fault is not None:
            raise self._fault.with_traceback(None)  # not with those of the exercises before
        if self._report is None:
            assert self._read is not None
            submission, assignment = self._read
            level = Level[self.config.option.grader_require_sandbox.upper()]
            try:
                whole = grade(submission, assignment, require=level, secrets=self._secrets)
            except GraderError as error:
                self._fault = error
                raise
            _, shown = views_of(whole, assignment.visibility, datetime.now(timezone.utc))
            self._report = harmless(with_places(read_report(report_to_dict(shown)), [self.path]))
        return self._report


class ExerciseItem(pytest.Item):
    """One exercise."""

    _finding: Finding | None = None

    def setup(self) -> None:
        """Grade. If the grader fails, it fails here, because pytest calls that an error and not a failure."""
        from grader.exports import words

        assert isinstance(self.parent, NotebookFile)
        report = self.parent.report()
        self._finding = next(finding for finding in report.findings if finding.name == self.name)
        self.user_properties += [("points", self._finding.points), ("max_points", self._finding.max_points)]
        self.user_properties += [("outcome", self._finding.outcome.value)]
        if self._finding.passed is None:
            raise _Undecided("\n".join((words.message(self._finding), *words.notes(report))))

    def runtest(self) -> None:
        """Fail if the exercise is not right."""
        from grader.exports import words

        assert self._finding is not None
        if not self._finding.passed:
            raise _Wrong(words.full_text(self._finding))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say what is wrong, and where; a traceback of the grader would not help."""
        from grader.errors import GraderError
        from grader.exports import words
        from grader.reports.terminal import lines_for_terminal

        if isinstance(excinfo.value, (_Wrong, _Undecided, GraderError)):
            place = self._finding.place if self._finding else None
            where = f"{place.file}:{place.line}: {words.title(self._finding)}\n" if place and self._finding else ""
            return lines_for_terminal(where + str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The file, and the exercise's name."""
        return self.path, None, self.name


class _Wrong(Exception):  # noqa: N818 - a verdict, not an error
    """The exercise is not right; the message says why."""


class _Undecided(Exception):  # noqa: N818 - likewise
    """The exercise could not be graded."""


def _hidden_seed() -> int | None:
    text = os.environ.get("GRADER_HIDDEN_SEED", "")
    if text and not text.isdecimal():
        raise pytest.UsageError("GRADER_HIDDEN_SEED must be a whole number.")
    return int(text) if text else None
