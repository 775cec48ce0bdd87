"""
What can be wrong with the grader or with what it was given, never with a submission.

What is wrong with a submission is an `Outcome`, a value. The exceptions are for whoever runs the grader:

    GraderError                 one sentence, and what to do next
    ├── UsageError              exit code 2: the call or an input is at fault
    │   ├── SourceError         a source notebook in `solutions/` breaks the contract
    │   └── SubmissionError  there is no such file
    └── GraderFault             exit code 3: the grader or its installation is at fault
        ├── DataError           a data file is missing or not the published one
        ├── SandboxError        a kernel could not be started as asked
        └── SolutionError       a solution disagrees with autograd: nothing can be graded with it
"""

from __future__ import annotations

__all__ = [
    "DataError",
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
        message: One sentence on what happened.
        hint: What to do next, a sentence too.
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
    """A source notebook breaks the contract between its author and the grader."""


class SubmissionError(UsageError):
    """The file to grade is not there."""


class GraderFault(GraderError):  # noqa: N818 - the grader is at fault, and says so
    """The grader, its installation or its machine is at fault."""


class DataError(GraderFault):
    """A data file is missing, or its checksum is not the published one."""


class SandboxError(GraderFault):
    """A kernel could not be started in the way that was asked for."""


class SolutionError(GraderFault):
    """An instructor's solution fails, or disagrees with autograd."""


def as_fault(error: Exception) -> GraderError:
    """Turn any exception into an error of the grader, with a sentence for an unexpected one."""
    if isinstance(error, GraderError):
        return error
    fault = GraderFault(f"The grader failed ({error!r}).", "Run it again with --debug, and report what that prints.")
    fault.__cause__ = error
    return fault
