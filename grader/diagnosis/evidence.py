"""
Everything that is known about one wrong exercise: what the recognisers decide from.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TypeVar

from grader.assignment.load import Assignment
from grader.assignment.misconceptions import Misconception
from grader.calling.equation import free_names
from grader.calling.exercise import Exercise
from grader.diagnosis.fingerprint import fingerprint
from grader.diagnosis.projection import CaseOutput, Projection, project
from grader.diagnosis.wording import observation
from grader.execution.calls import Returned
from grader.model import Outcome
from grader.notebook.scope import Scope
from grader.notebook.written import Written, written_in
from grader.reference.networks import network_names
from grader.trees import tree_of

T = TypeVar("T")

__all__ = ["Evidence", "Explanation", "called", "target_of"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """
    Why a gradient is wrong: a diagnosis that has no hints yet.

    Attributes:
        id: The id of the diagnosis.
        message: What was observed, a sentence for the student.
        misconception: The mistake as the assignment's author described it, if the author did.
    """

    id: str
    message: str
    misconception: Misconception | None = None


def target_of(part: str, exercise: Exercise) -> str:
    """What a part of a result is the gradient of; the part itself if it is no gradient."""
    return next((target for target in exercise.targets if f"d{target}" in free_names(part)), part)


def called(part: str, exercise: Exercise) -> str:
    """What a part is called in a sentence: one that is no name, and that is all of the result, is the result."""
    return part if part.isidentifier() or len(exercise.parts) > 1 else "result"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """
    Everything that is known about one wrong exercise.

    Attributes:
        returned: What became of the call on each case.
        outputs: The tensors that were returned, for each case on which tensors were returned.
        scope: What the function reads from outside itself.
        written: What stands in the student's own code.
        place: The number of the only part of the result that this is about; None if it is about all of them.
    """

    assignment: Assignment
    exercise: Exercise
    outcome: Outcome
    returned: tuple[Returned, ...]
    outputs: tuple[CaseOutput, ...]
    scope: Scope
    written: Written = dataclasses.field(default_factory=Written)
    place: int | None = None

    def of_part(self, place: int) -> Evidence:
        """What is known about one part of the result, as if the function returned nothing else."""
        found = [call.parts_found or dict(enumerate(call.tensors)) for call in self.returned]
        return dataclasses.replace(
            self,
            place=place,
            outputs=tuple(
                CaseOutput.of(call.case.of_part(place), call.argument_dtype, (tensors[place],))
                for call, tensors in zip(self.returned, found, strict=True)
                if place in tensors and not tensors[place].is_complex()
            ),
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the result that this is about."""
        every = self.exercise.parts
        return every if self.place is None else (every[self.place],)

    def own(self, values: tuple[T, ...]) -> tuple[T, ...]:
        """Of values for all parts, those that this is about."""
        return values if self.place is None else (values[self.place],)

    @property
    def is_complete(self) -> bool:
        """Whether the function returned tensors on every case."""
        return len(self.outputs) == len(self.returned) > 0

    @property
    def upstream(self) -> tuple[str, ...]:
        """The arguments that are upstream gradients."""
        return self.returned[0].case.upstream if self.returned else ()

    @property
    def network_reads(self) -> tuple[str, ...]:
        """The variables of the notebook that the function reads and that have the name of a tensor of the network."""
        names = network_names(self.assignment)
        return tuple(name for name in self.scope.reads if name in names)

    @functools.cached_property
    def solution(self) -> Written:
        """What stands in the solution; nothing is known of it if there is none, as in a student's own check."""
        code = self.assignment.solution_code.get(self.exercise.name, "")
        return written_in(tree_of(code)) if code else Written()

    @functools.cached_property
    def are_zeros(self) -> bool:
        """Whether every number that was returned is zero: many mistakes end in that."""
        return not any(bool(tensor.any()) for output in self.outputs for tensor in output.tensors)

    @property
    def has_right_shapes(self) -> bool:
        """Whether the first part that is wrong has the right shape on every case."""
        target = self.wrong_target
        return all(each.tensors[target].shape == each.case.expected[target].shape for each in self.outputs)

    @functools.cached_property
    def fingerprint(self) -> str | None:
        """The fingerprint of everything that was returned."""
        return fingerprint(self.exercise, self.outcome, self.returned)

    @functools.cached_property
    def projections(self) -> tuple[tuple[Projection, ...], ...]:
        """The projections of `outputs`: for each case, one per target."""
        return tuple(tuple(map(project, output.tensors)) for output in self.outputs)

    @functools.cached_property
    def wrong_targets(self) -> tuple[int, ...]:
        """The positions of the parts that are wrong on some case."""
        return tuple(number for number in range(len(self.parts)) if not self._is_right(number))

    @property
    def wrong_target(self) -> int:
        """The position of the first part that is wrong."""
        return self.wrong_targets[0] if self.wrong_targets else 0

    def say(self, key: str, **facts: object) -> str:
        """The observation with this key, about the first part that is wrong."""
        part = self.parts[self.wrong_target]
        said, target = called(part, self.exercise), target_of(part, self.exercise)
        known = {"function": self.exercise.name, "part": said, "target": target}
        return observation(key, is_gradient=self.is_gradient, rows=self.rows, **known, **facts)

    @property
    def rows(self) -> str:
        """What the rows of a batch are called."""
        return self.assignment.data.get("rows", "rows")

    def has_examples_in_rows(self, argument: str) -> bool:
        """Whether an argument has one row for each example of the batch. Examples may also be columns."""
        found = [(output.case.tensors.get(argument), output.case.rows) for output in self.outputs]
        return all(tensor is not None and tensor.ndim > 0 and len(tensor) == rows for tensor, rows in found)

    @property
    def is_gradient(self) -> bool:
        """Whether the first part that is wrong is a gradient, and not a value of the forward pass."""
        part = self.parts[self.wrong_target]
        return target_of(part, self.exercise) != part

    def _is_right(self, target: int) -> bool:
        return all(
            target < len(output.tensors) and output.equals(output.case.expected[target], target=target)
            for output in self.outputs
        )
