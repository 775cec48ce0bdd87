"""
Hashes of everything that a result depends on: first on what a notebook is asked, then on how its replies are judged.

As little as possible is in the first hash. Points, tolerances, texts, recognisers and page styles are only in the
second: if they change, the replies are judged again, and nothing is executed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from grader.assignment.files import digest_of
from grader.assignment.load import Assignment
from grader.classroom.records import Owner
from grader.model import Adjustment, Submission
from grader.notebook.read import notebook_suffix
from grader.version import code_hash
from grader.visibility import Visibility

__all__ = ["EXECUTING", "Basis", "Keys"]

EXECUTING = (
    "grader.execution.conducting",
    "grader.execution.execute",
    "grader.execution.preload",
    "grader.execution.requests",
    "grader.execution.shared",
    "grader.harness.files",
    "grader.harness.serve",
    "grader.sandbox.forkserver",
)
"""The modules that decide what a notebook is asked and how it runs, together with everything that they import."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """
    What the results of a class depend on besides the submissions and their owners.

    Attributes:
        execution: A hash of everything that decides what notebooks are asked and how they run.
        judgement: A hash of everything that decides how their replies are judged and shown.
    """

    assignment_id: str
    assignment_version: str
    hidden_seed: int
    execution: str
    judgement: str

    @staticmethod
    def of(assignment: Assignment, *, withheld: Visibility | None = None) -> Basis:
        """
        The basis of an assignment with this version of the grader.

        Args:
            withheld: What students see now; None if they see everything.
        """
        asked: list[Any] = [
            [assignment.id, assignment.hidden_seed, assignment.network],
            [[e.name, e.arguments, e.targets, e.equation, e.arrays, e.partial] for e in assignment.exercises],
            [assignment.rows, *(dataclasses.asdict(case) for case in assignment.extra_cases)],
            [dataclasses.asdict(assignment.limits), assignment.autograd],
            [assignment.learning_rate, assignment.steps, digest_of(assignment.files)],
            code_hash(EXECUTING),
        ]
        return Basis(
            assignment_id=assignment.id,
            assignment_version=assignment.version,
            hidden_seed=assignment.hidden_seed,
            execution=_hash(asked),
            judgement=_hash([assignment.revision, code_hash(), withheld and dataclasses.asdict(withheld)]),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """
    The keys of a submission in the gradebook.

    Attributes:
        result: A hash of everything that its result depends on, including the instructor's adjustments.
        execution: A hash of everything that its execution depends on; the owner is not part of it.
    """

    result: str
    execution: str

    @staticmethod
    def of(owner: Owner, submission: Submission, basis: Basis, adjustments: Sequence[Adjustment] = ()) -> Keys:
        """Compute the keys of a submission."""
        execution = _hash([submission.sha256, notebook_suffix(submission.name), basis.execution])
        handed_in = [owner.platform, owner.student, submission.name]
        adjusted = [dataclasses.asdict(adjustment) for adjustment in adjustments]
        return Keys(result=_hash([handed_in, execution, basis.judgement, adjusted]), execution=execution)


def _hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
