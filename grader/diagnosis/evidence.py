"""
All that is known of one wrong exercise, for recognisers to look at.
"""

from __future__ import annotations

import dataclasses
import functools

from grader.assignment.load import Assignment
from grader.assignment.misconceptions import Misconception
from grader.diagnosis.fingerprint import fingerprint
from grader.diagnosis.projection import CaseOutput, Projection, agrees, project
from grader.diagnosis.wording import observation
from grader.execution.calls import Returned
from grader.model import Exercise, Outcome
from grader.notebook.scope import Scope
from grader.reference.networks import network_names

__all__ = ["Evidence", "Found"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A diagnosis, in the making; `misconception` if it is one that the assignment's author has named."""

    id: str
    message: str
    misconception: Misconception | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """
    All that is known of one wrong exercise.

    Attributes:
        outputs: What it returned, where it returned tensors; on all cases, if it is as long as `returned`.
    """

    assignment: Assignment
    exercise: Exercise
    outcome: Outcome
    returned: tuple[Returned, ...]
    outputs: tuple[CaseOutput, ...]
    scope: Scope

    @property
    def is_complete(self) -> bool:
        """Whether it returned tensors on every case."""
        return len(self.outputs) == len(self.returned) > 0

    @property
    def upstream(self) -> tuple[str, ...]:
        """The upstream gradients among its arguments."""
        return self.returned[0].case.upstream if self.returned else ()

    @property
    def of_network(self) -> tuple[str, ...]:
        """What it reads of the notebook under a name that is in the network."""
        named = network_names(self.assignment)
        return tuple(name for name in self.scope.reads if name in named)

    @functools.cached_property
    def fingerprint(self) -> str | None:
        """That of the whole answer."""
        return fingerprint(self.exercise, self.outcome, self.returned)

    @functools.cached_property
    def projections(self) -> tuple[tuple[Projection, ...], ...]:
        """The fingerprint of what was seen on each case."""
        return tuple(tuple(map(project, output.tensors)) for output in self.outputs)

    @functools.cached_property
    def wrong_targets(self) -> tuple[int, ...]:
        """The targets that are not right."""
        return tuple(
            number
            for number in range(len(self.exercise.targets))
            if not all(
                number < len(output.tensors)
                and agrees(
                    (output.tensors[number],),
                    output.case,
                    (output.case.expected[number],),
                    argument_dtype=output.argument_dtype,
                )
                for output in self.outputs
            )
        )

    @property
    def wrong_target(self) -> int:
        """The first target that is not right."""
        return self.wrong_targets[0] if self.wrong_targets else 0

    def say(self, key: str, **facts: object) -> str:
        """An observation about the target that is wrong."""
        return observation(key, function=self.exercise.name, target=self.exercise.targets[self.wrong_target], **facts)
