"""
Errors of the grader, or of the files and options that it was given.

What is wrong with a submission is not an exception but a value, an `Outcome`. These exceptions are for the people who
run the grader:

    GraderError                 one sentence, and what to do next
    ├── UsageError              exit code 2: the command or an input is wrong
    │   ├── SourceError         a source notebook in `solutions/` cannot be used
    │   │   ├── DraftError      it has no exercise yet
    │   │   └── SolutionError   a solution disagrees with autograd, so nothing can be graded with it
    │   └── SubmissionError     the file to grade does not exist
    └── GraderFault             exit code 3: the grader or its installation is broken
        ├── DataError           a data file is missing, or is not the published one
        └── SandboxError        a kernel could not be started as required
"""

from __future__ import annotations

import traceback
from pathlib import Path

__all__ = [
    "DataError",
    "DraftError",
    "GraderError",
    "GraderFault",
    "SandboxError",
    "SolutionError",
    "SourceError",
    "SubmissionError",
    "UsageError",
    "as_fault",
]


class GraderError(Exception):
    """
    Something that keeps the grader from doing its work.

    Args:
        message: What happened, in one sentence.
        hint: What to do next, in one sentence.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(GraderError):
    """The call, the configuration or an input cannot be used."""

    exit_code = 2


class SourceError(UsageError):
    """A source notebook does not follow the rules for authors."""


class DraftError(SourceError):
    """A source notebook is a draft: no exercise is in it yet."""


class SubmissionError(UsageError):
    """The file to grade does not exist."""


class GraderFault(GraderError):  # noqa: N818 - it is the grader that is at fault
    """The grader, its installation or its machine is broken."""


class DataError(GraderFault):
    """A data file is missing, or its checksum is not the published one."""


class SandboxError(GraderFault):
    """A kernel could not be started, or not with the required sandbox."""


class SolutionError(SourceError):
    """An instructor's solution fails, or disagrees with autograd."""


def as_fault(error: Exception) -> GraderError:
    """Turn any exception into an error of the grader, with a sentence for an unexpected one."""
    if isinstance(error, GraderError):
        return error
    fault = GraderFault(
        f"The grader failed ({_where(error)}).", "Run it again with --debug, and report what that prints."
    )
    fault.__cause__ = error
    return fault


def _where(error: Exception) -> str:
    """The kind of an error and the line that raised it. Its message may quote a student or a hidden number."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "grader" in Path(frame.filename).parts] or frames
    return type(error).__name__ + (f" in {Path(ours[-1].filename).name}, line {ours[-1].lineno}" if ours else "")
