"""
Finds how far a wrong result may still be right: the intermediate of the solution's own computation that it equals.

The solution is run on small cases with a probe around each of its expressions. If the student's result is one of their
values on every one of these cases, everything up to there may be right, and what follows is missing. Only the names of
the arguments that are in it are said, never what is done with them.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from types import CodeType
from typing import Any

import torch

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.calling.nested import with_tensors
from grader.diagnosis.plain import plain_code
from grader.diagnosis.wording import observation
from grader.execution.calls import Returned
from grader.reference.answers import answer_of, in_float64
from grader.reference.cases import Case
from grader.trees import tree_of

__all__ = ["Probed", "partway", "values_in", "with_probes"]

_PROBE = "_probe"
_FEWEST_CASES = 3
_FEWEST_NUMBERS = 2

Values = list[tuple[int, torch.Tensor]]


def partway(assignment: Assignment, exercise: Exercise, calls: Sequence[Returned]) -> str:
    """
    A sentence that says which intermediate of a right computation a wrong result equals.

    Args:
        calls: What became of the calls on small cases.

    Returns:
        An empty text if there is no such intermediate, or no solution, as in a student's own check.
    """
    returned = [call for call in calls if len(call.tensors) == len(exercise.parts)]
    if exercise.name not in assignment.solutions or exercise.is_lines or len(returned) < _FEWEST_CASES:
        return ""
    place = next((place for place in range(len(exercise.parts)) if _is_wrong(returned, place)), None)
    if place is None:
        return ""
    code, probed = with_probes(assignment.solution_code[exercise.name], exercise)
    agreeing: set[int] | None = None
    for call in returned:
        found = _equal_to(call.tensors[place], values_in(assignment, exercise, code, call.case))
        agreeing = found if agreeing is None else agreeing & found
    if not agreeing:
        return ""
    last, part = max(agreeing), exercise.parts[place]
    if last in probed.plain:
        return observation("partway_argument", part=part, name=probed.made_of[last][0])
    return observation("partway", part=part, names=" and ".join(probed.made_of[last]))


def with_probes(solution: str, exercise: Exercise) -> tuple[CodeType, Probed]:
    """The code of a solution with probes in it."""
    probed = Probed(exercise.arguments)
    tree = probed.visit(tree_of(plain_code(solution, exercise.name)))
    return compile(ast.fix_missing_locations(tree), f"<probed {exercise.name}>", "exec"), probed


class Probed(ast.NodeTransformer):
    """
    Puts a probe around each expression of a function, numbered in the order in which they are evaluated.

    Attributes:
        made_of: For each number, the arguments that the expression is made of.
        plain: The numbers of expressions that are an argument itself.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self._made_of: dict[str, tuple[str, ...]] = {name: (name,) for name in arguments}
        self.made_of: dict[int, tuple[str, ...]] = {}
        self.plain: set[int] = set()

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """Remember what a variable is made of."""
        names = self._names(node.value)
        node.value = self.visit(node.value)
        for target in node.targets:
            for each in ast.walk(target):
                if isinstance(each, ast.Name):
                    self._made_of[each.id] = names
        return node

    def generic_visit(self, node: Any) -> Any:
        """Put a probe around a value; what is called, and the name of a method, is none."""
        if isinstance(node, (ast.Call, ast.Subscript, ast.Attribute)):
            inner = node.func if isinstance(node, ast.Call) else node.value
            if isinstance(inner, ast.Attribute) and isinstance(node, ast.Call):
                inner.value = self.visit(inner.value)
            if isinstance(node, ast.Call):
                node.args = [self.visit(argument) for argument in node.args]
            elif isinstance(getattr(node, "ctx", None), ast.Load):
                node.value = self.visit(node.value)
        else:
            super().generic_visit(node)
        is_value = isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call, ast.Subscript, ast.Attribute, ast.Name))
        is_read = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        return self._probe(node) if is_value and is_read else node

    def _probe(self, node: Any) -> Any:
        names = self._names(node)
        if not names:
            return node
        number = len(self.made_of)
        self.made_of[number] = names
        if isinstance(node, ast.Name) and node.id in self._arguments:
            self.plain.add(number)
        arguments: list[ast.expr] = [ast.Constant(number), node]
        return ast.Call(func=ast.Name(id=_PROBE, ctx=ast.Load()), args=arguments, keywords=[])

    def _names(self, node: ast.AST) -> tuple[str, ...]:
        found = [
            name for each in ast.walk(node) if isinstance(each, ast.Name) for name in self._made_of.get(each.id, ())
        ]
        return tuple(name for name in self._arguments if name in found)


def values_in(assignment: Assignment, exercise: Exercise, code: CodeType, case: Case) -> Values:
    """The values of a solution's expressions on a case, each with its number, without those that are no tensors."""
    seen: Values = []

    def probe(number: int, value: Any) -> Any:
        try:
            tensor = torch.as_tensor(value)
            if tensor.numel() >= _FEWEST_NUMBERS and not tensor.is_complex():
                seen.append((number, tensor.detach().clone().double()))
        except (TypeError, ValueError, RuntimeError):
            pass
        return value

    variables = {**assignment.namespace, _PROBE: probe}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, variables)  # noqa: S102 - the instructor's code, with probes
        answer_of(exercise, variables, with_tensors(case.arguments, in_float64))
    return seen


def _equal_to(got: torch.Tensor, values: Values) -> set[int]:
    """The numbers of the expressions whose value is this one."""
    return {number for number, value in values if value.shape == got.shape and _are_close(got.double(), value)}


def _are_close(got: torch.Tensor, value: torch.Tensor) -> bool:
    return bool(torch.allclose(got, value, rtol=1e-4, atol=1e-5))


def _is_wrong(calls: Sequence[Returned], place: int) -> bool:
    return any(
        not call.case.compare(call.tensors[place], target=place, argument_dtype=call.argument_dtype).outcome.passed
        for call in calls
    )
