"""
Mutants of a solution: the same function with one realistic mistake in it.

Mutation analysis (DeMillo, Lipton and Sayward, *Hints on test data selection*, 1978) is used twice. A mutant that
computes what a student computed names the student's mistake; the share of mutants that an assignment's cases tell from
the solution says how good the cases are. `texts/edits.toml` says what each edit means to a person, the best first.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from grader.diagnosis.wording import table

__all__ = ["EDITS", "Edit", "Mutant", "make_mutants", "make_pairs"]

REDUCTIONS = ("sum", "mean", "amax", "amin", "prod")
_OPPOSITE = {ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
_NEIGHBOUR = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """
    A kind of mistake.

    Attributes:
        diagnosis: The id that it is reported by.
        observation: What is said of a gradient that equals the mutant's.
        rank: Its place in the table: of several edits with the same effect, the first one is told.
    """

    name: str
    diagnosis: str
    observation: str
    rank: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """
    A solution with one or two edits in it.

    Attributes:
        site: The piece of the solution that was edited. For instructors only.
        operand: An argument's name that the edit is about, or empty.
        source: The whole function.
    """

    edits: tuple[Edit, ...]
    site: str
    operand: str
    source: str

    def compile(self, name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
        """The function, in a namespace of its own."""
        own = dict(namespace)
        exec(compile(self.source, f"<mutant of {name}>", "exec"), own)  # noqa: S102 - the instructor's code, edited
        function: Callable[..., Any] = own[name]
        return function


EDITS = {name: Edit(name=name, rank=rank, **entry) for rank, (name, entry) in enumerate(table("edits").items())}


@functools.lru_cache(maxsize=256)
def make_mutants(source: str, name: str, upstream: tuple[str, ...]) -> tuple[Mutant, ...]:
    """
    Every realistic single edit of a function, the ones to be preferred first, no two of them with the same source.

    Args:
        source: Python with the function in it.
        name: The function's name.
        upstream: Those of its arguments that are upstream gradients.
    """
    function = _function(source, name)
    arguments = tuple(argument.arg for argument in function.args.args)
    seen = {ast.unparse(function)}
    mutants = []
    for place, node in enumerate(ast.walk(function)):
        for edit, replacement, operand in _edits(node, arguments):
            mutated = _replaced(function, place, replacement)
            text = ast.unparse(mutated)
            if text in seen:
                continue
            seen.add(text)
            lost = [name for name in upstream if name in _loads(function) and name not in _loads(mutated)]
            if edit == "operand_of_ones" and operand in upstream:
                lost = [operand]
            kind = "drop_upstream" if lost else edit
            mutants.append(
                Mutant(edits=(EDITS[kind],), site=ast.unparse(node), operand=lost[0] if lost else operand, source=text)
            )
    return tuple(sorted(mutants, key=lambda mutant: mutant.edits[0].rank))


@functools.lru_cache(maxsize=256)
def make_pairs(source: str, name: str, upstream: tuple[str, ...], limit: int = 600) -> tuple[Mutant, ...]:
    """Two edits at once, of different kinds, the ones to be preferred first."""
    seen = {mutant.source for mutant in make_mutants(source, name, upstream)}
    pairs = []
    for first in make_mutants(source, name, upstream):
        for second in make_mutants(first.source, name, upstream):
            if second.source in seen or second.edits[0].diagnosis == first.edits[0].diagnosis:
                continue
            seen.add(second.source)
            edits = tuple(sorted((*first.edits, *second.edits), key=lambda edit: edit.rank))
            site = f"{first.site}; {second.site}"
            pairs.append(Mutant(edits=edits, site=site, operand=first.operand or second.operand, source=second.source))
    return tuple(sorted(pairs, key=lambda mutant: sum(edit.rank for edit in mutant.edits))[:limit])


# --------------------------------------------------------------------------------------------------- one edit each


def _edits(node: ast.AST, arguments: Sequence[str]) -> Iterator[tuple[str, ast.AST, str]]:
    """The edits of one node: the kind, what stands there instead, and the argument that it is about."""
    if isinstance(node, ast.Return) and node.value is not None:
        yield from _edits_of_result(node)
    elif isinstance(node, ast.BinOp):
        yield from _edits_of_operation(node)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _edits_of_comparison(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert, ast.Not)):
        yield "flip_sign" if isinstance(node.op, ast.USub) else "flip_comparison", node.operand, ""
    elif isinstance(node, ast.Call):
        yield from _edits_of_call(node)
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield "drop_transpose", node.value, ""
    elif isinstance(node, ast.Subscript):
        yield from _edits_of_subscript(node)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value not in (0, 1):
        yield "change_constant", ast.Constant(1), ""
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in arguments:
        yield from _edits_of_argument(node, arguments)


def _edits_of_result(node: ast.Return) -> Iterator[tuple[str, ast.AST, str]]:
    value = node.value
    assert value is not None
    if isinstance(value, ast.Tuple):
        if len(value.elts) == 2:
            yield "swap_targets", ast.Return(ast.Tuple(value.elts[::-1], ast.Load())), ""
        return
    yield "flip_sign", ast.Return(ast.UnaryOp(ast.USub(), value)), ""
    for kind, tail in (
        ("result_abs", ".abs()"),
        ("result_clamped", ".clamp(min=0)"),
        ("mean_of_result", ".mean(0, keepdim=True)"),
        ("mean_of_result", ".mean(1, keepdim=True)"),
        ("sum_of_result", ".sum(0, keepdim=True)"),
        ("sum_of_result", ".sum().expand_as(RESULT)"),
        ("square_result", ".square()"),
    ):
        code = ast.parse(f"(RESULT){tail}", mode="eval").body
        yield kind, ast.Return(_filled(code, value)), ""


def _edits_of_operation(node: ast.BinOp) -> Iterator[tuple[str, ast.AST, str]]:
    left, right = node.left, node.right
    if isinstance(node.op, ast.Mult):
        for kept, dropped in ((left, right), (right, left)):
            yield "drop_mask" if _is_mask(dropped) else "drop_factor", kept, _argument(dropped)
    elif isinstance(node.op, ast.Div):
        yield "drop_divisor", left, ""
        yield "multiply_not_divide", ast.BinOp(left, ast.Mult(), right), ""
    elif isinstance(node.op, ast.MatMult):
        yield "swap_operands", ast.BinOp(right, ast.MatMult(), left), ""
        for kept in (left, right):
            yield "drop_factor", kept, ""
        sums = _text("(L).sum(1)[:, None] * (R).sum(0)[None]", left, right)
        yield "product_of_sums", ast.parse(sums, mode="eval").body, ""
    elif isinstance(node.op, ast.Add):
        yield "drop_term", left, _argument(right)
        yield "drop_term", right, _argument(left)
        yield "flip_term", ast.BinOp(left, ast.Sub(), right), ""
    elif isinstance(node.op, ast.Sub):
        yield "drop_term", left, _argument(right)
        yield "drop_term", ast.UnaryOp(ast.USub(), right), _argument(left)
        yield "flip_term", ast.BinOp(left, ast.Add(), right), ""
    elif isinstance(node.op, ast.Pow):
        yield "drop_power", left, ""
    yield from _edits_of_entrywise(node)


def _edits_of_entrywise(node: ast.BinOp) -> Iterator[tuple[str, ast.AST, str]]:
    left, right = node.left, node.right
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)) and isinstance(right, ast.Name):
        yield "flatten_operand", ast.BinOp(left, node.op, ast.parse(f"{right.id}.flatten()", mode="eval").body), ""
    if isinstance(node.op, ast.Sub):
        yield "sign_only", ast.parse(f"({ast.unparse(node)}).sign()", mode="eval").body, ""
        yield "square_result", ast.parse(f"({ast.unparse(node)}) ** 2", mode="eval").body, ""


def _edits_of_comparison(node: ast.Compare) -> Iterator[tuple[str, ast.AST, str]]:
    operation, left, right = type(node.ops[0]), node.left, node.comparators[0]
    if operation in _OPPOSITE:
        yield "flip_comparison", ast.Compare(left, [_OPPOSITE[operation]()], [right]), ""
    if operation in _NEIGHBOUR:
        yield "move_boundary", ast.Compare(left, [_NEIGHBOUR[operation]()], [right]), ""
    yield "drop_comparison", left, _argument(left)
    yield "drop_mask", ast.Constant(1), _argument(left)
    yield "sign_not_mask", ast.parse(f"({ast.unparse(left)}).sign()", mode="eval").body, _argument(left)


def _edits_of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST, str]]:
    function = node.func
    if isinstance(function, ast.Attribute):
        yield from _edits_of_method(node, function)
    is_of_torch = (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and (function.value.id in ("torch", "F"))
    )
    if is_of_torch and isinstance(function, ast.Attribute) and function.attr == "where" and len(node.args) == 3:
        yield "drop_mask", node.args[1], _argument(node.args[0])
        yield "flip_comparison", ast.Call(function, [node.args[0], node.args[2], node.args[1]], node.keywords), ""
    elif is_of_torch and len(node.args) == 1:
        yield "drop_function", node.args[0], _argument(node.args[0])


def _edits_of_method(node: ast.Call, function: ast.Attribute) -> Iterator[tuple[str, ast.AST, str]]:
    receiver = function.value
    if function.attr in ("sum", "mean"):
        other = "mean" if function.attr == "sum" else "sum"
        swapped = ast.Call(ast.Attribute(receiver, other, ast.Load()), node.args, node.keywords)
        yield f"{other}_for_{function.attr}", swapped, ""
    if function.attr in REDUCTIONS:
        yield "drop_sum", receiver, ""
        yield from _edits_of_axis(node, function)
    elif function.attr in ("t", "transpose", "permute"):
        yield "drop_transpose", receiver, ""
    elif function.attr not in ("size", "numel", "dim", "clone", "to", "type", "float", "double"):
        yield "drop_function", receiver, _argument(receiver)


def _edits_of_axis(node: ast.Call, function: ast.Attribute) -> Iterator[tuple[str, ast.AST, str]]:
    keeps = [keyword for keyword in node.keywords if keyword.arg == "keepdim"]
    rest = [keyword for keyword in node.keywords if keyword.arg not in ("dim", "axis", "keepdim")]
    given = [keyword.value for keyword in node.keywords if keyword.arg in ("dim", "axis")] + node.args[:1]
    axis = next((_integer(value) for value in given), None)
    if keeps:
        yield "drop_keepdim", ast.Call(function, node.args, [k for k in node.keywords if k.arg != "keepdim"]), ""
    if axis is not None:
        other = ast.keyword("dim", ast.Constant(1 if axis == 0 else 0))
        yield "other_axis", ast.Call(function, [], [other, *keeps, *rest]), ""
    if given:
        yield "sum_of_everything", ast.Call(function, [], rest), ""


def _edits_of_subscript(node: ast.Subscript) -> Iterator[tuple[str, ast.AST, str]]:
    index = _integer(node.slice)
    if index is not None and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        other = ast.Subscript(node.value, ast.Constant(1 if index == 0 else 0), ast.Load())
        yield "other_size", other, ""
        number = ast.Call(ast.Attribute(node.value.value, "numel", ast.Load()), [], [])
        yield "other_size", number, ""
    elif isinstance(node.slice, (ast.Tuple, ast.Slice)):
        yield "drop_index", node.value, ""


def _edits_of_argument(node: ast.Name, arguments: Sequence[str]) -> Iterator[tuple[str, ast.AST, str]]:
    for other in arguments:
        if other != node.id:
            yield "wrong_operand", ast.Name(other, ast.Load()), other
    for kind, code in (
        ("add_transpose", f"{node.id}.T"),
        ("operand_abs", f"{node.id}.abs()"),
        ("operand_sign", f"{node.id}.sign()"),
        ("operand_clamped", f"{node.id}.clamp(min=0)"),
        ("operand_to_mask", f"({node.id} > 0)"),
        ("drop_last_row", f"{node.id}[:-1]"),
        ("only_first_row", f"{node.id}[:1]"),
        ("operand_of_ones", f"({node.id} * 0 + 1)"),
    ):
        yield kind, ast.parse(code, mode="eval").body, node.id


# ------------------------------------------------------------------------------------------------------ small things


def _function(source: str, name: str) -> ast.FunctionDef:
    function = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == name)
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    return function


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self._new if node is self._old else super().generic_visit(node)


def _replaced(function: ast.FunctionDef, place: int, replacement: ast.AST) -> ast.FunctionDef:
    fresh = copy.deepcopy(function)
    old = next(node for number, node in enumerate(ast.walk(fresh)) if number == place)
    new: ast.FunctionDef = _Replace(old, copy.deepcopy(replacement)).visit(fresh)
    return ast.fix_missing_locations(new)


def _filled(code: ast.expr, value: ast.expr) -> ast.expr:
    for node in [inner for inner in ast.walk(code) if isinstance(inner, ast.Name) and inner.id == "RESULT"]:
        code = _Replace(node, value).visit(code)
    return code


def _text(template: str, left: ast.expr, right: ast.expr) -> str:
    return template.replace("(L)", f"({ast.unparse(left)})").replace("(R)", f"({ast.unparse(right)})")


def _is_mask(node: ast.expr) -> bool:
    return any(isinstance(inner, ast.Compare) for inner in ast.walk(node))


def _argument(node: ast.expr) -> str:
    return next((inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)), "")


def _loads(function: ast.FunctionDef) -> set[str]:
    return {
        node.id
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _integer(node: ast.expr) -> int | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value if type(value) is int else None
