"""
Reads an exercise from its cell: which function or class it is, how it is called, and what it must return.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.assignment.cells import ExerciseCell, SourceCell, blanked, place_of, problem_in
from grader.assignment.settings import EXERCISE, check_settings
from grader.calling.equation import Equation, EquationError, free_names, parts_asked
from grader.trees import tree_of

__all__ = ["asked_by", "exercise_in", "lines_for"]

_Definition = ast.FunctionDef | ast.ClassDef


def exercise_in(
    path: Path, cell: SourceCell, settings: Any, *, known: Collection[str], written: Mapping[str, int]
) -> ExerciseCell:
    """
    The exercise in a cell.

    Args:
        path: That of the source notebook, for messages.
        settings: The cell's `grader` metadata.
        known: Names in the network's code: `data` is no gradient of `ata` if the network knows it.
        written: The line where each setting is written.

    Raises:
        SourceError: The cell breaks the contract; the message names file, cell and line.
    """
    try:
        tree = tree_of(cell.code)
    except SyntaxError as error:
        line = cell.line + error.lineno - 1 if cell.line and error.lineno else None
        raise problem_in(path, cell, f"this cell is not Python ({error.msg})", "Fix this line.", line=line) from error
    defined = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    settings = check_settings(
        settings, EXERCISE, lambda name: f"{place_of(path, cell, written.get(name))}, {', '.join(defined)}"
    )
    are_lines = "name" in settings and "call" not in settings and not defined
    try:
        if are_lines:
            name, docstring, is_composed = settings["name"], (ast.get_docstring(tree) or "").strip(), True
            asked = lines_for(name, _targets_in(path, cell, tree, settings, known), settings)
        else:
            name = _name_of(path, cell, defined, settings, written)
            node = defined[name]
            if isinstance(node, ast.ClassDef) and "call" not in settings:
                hint = f"Write it in the cell's metadata, under `grader`, like `{_called_as(node)} == (dx, dw)`."
                raise problem_in(
                    path, cell, f"{name} is a class, and `call`, which says how it is used, is missing", hint
                )
            docstring = ast.get_docstring(node) or ""
            if not docstring:
                hint = "Write one that gives the task and the shapes."
                raise problem_in(path, cell, f"{name} has no docstring", hint)
            is_composed = len(defined) > 1 or isinstance(node, ast.ClassDef) or not _is_bare(cell, name)
            asked = asked_by(name, _parameters(node), settings, known=known)
    except EquationError as error:
        line = written.get(error.setting)
        raise problem_in(path, cell, f"{name}: {error}", error.hint or _EXAMPLE, line=line) from error
    return ExerciseCell(
        index=cell.index,
        code=cell.code,
        line=cell.line,
        name=name,
        tolerance=float(settings.get("tolerance", 1)),
        docstring=docstring,
        is_composed=is_composed,
        is_class=not are_lines and isinstance(defined[name], ast.ClassDef),
        written=written,
        **asked,
    )


def _targets_in(
    path: Path, cell: SourceCell, tree: ast.Module, settings: Mapping[str, Any], known: Collection[str]
) -> Sequence[str]:
    """What straight lines, `dlogits = …`, compute the gradients of."""
    words = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    gradients = [word for word in dict.fromkeys(words) if word[0] == "d" and len(word) > 1 and word not in known]
    targets: Sequence[str] = settings.get("targets") or [gradient[1:] for gradient in gradients]
    if not targets:
        problem = f"{settings['name']} computes no gradient"
        raise problem_in(path, cell, problem, "Write lines such as `dlogits = …`, or list the `targets`.")
    return targets


def lines_for(name: str, targets: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    What straight lines ask for, as fields of `grader.calling.exercise.Exercise`.

    Raises:
        EquationError: As for `asked_by`.
    """
    gradients = [f"d{target}" for target in targets]
    call = f"{name} == {{{', '.join(f'{gradient!r}: {gradient}' for gradient in gradients)}}}"
    asked = asked_by(name, (), {**settings, "call": call, "targets": list(targets)})
    return {**asked, "arguments": (), "is_lines": True}


_EXAMPLE = "Write `call` like `layer_backward(dz, (x, w, b)) == (dx, dw, db)`."


def asked_by(
    name: str, parameters: Sequence[str], settings: Mapping[str, Any], *, known: Collection[str] = ()
) -> dict[str, Any]:
    """
    What an exercise asks for, as fields of `grader.calling.exercise.Exercise`.

    Args:
        parameters: Those of the function.
        settings: Those of an exercise.
        known: Names that begin with a d and are no gradients.

    Raises:
        EquationError: The settings do not fit together; the message is a sentence without its full stop.
    """
    text, points = settings.get("call", ""), settings.get("points", 1)
    if text:
        try:
            equation = Equation.of(text)
        except EquationError as error:
            raise EquationError(f"`call` cannot be read: {error}") from error
        names = [name for part in equation.parts for name in free_names(part) if name not in known]
        gradients = [name for name in names if name[0] == "d" and name[1:].isidentifier()]
        targets = tuple(settings.get("targets", dict.fromkeys(gradient[1:] for gradient in gradients)))
        text, arguments = equation.text, equation.names
    else:
        if "targets" not in settings and not name.startswith("grad_"):
            raise EquationError(
                f"nothing says what {name} is the gradient of",
                hint="Call it grad_<target>, or set `targets` or `call` under `grader`.",
            )
        targets = tuple(map(str, settings.get("targets") or [name.removeprefix("grad_")]))
        arguments = tuple(parameters)
    parts = parts_asked(text, targets)
    shares = _shares(parts, targets, points) if isinstance(points, dict) else ()
    partial = _partial(targets, arguments, settings.get("partial", ()))
    return {
        "targets": targets,
        "arguments": arguments,
        "points": sum(shares) if shares else float(points),
        "equation": text,
        "shares": shares,
        "arrays": settings.get("arrays", ""),
        "partial": partial,
        "is_squeezable": settings.get("squeezable", False),
        "ignored": _conditions(parts, targets, settings.get("ignore", {})),
    }


def _partial(targets: Sequence[str], arguments: Sequence[str], partial: Sequence[str]) -> tuple[str, ...]:
    """The tensors whose gradient is not the whole one: targets, or those of upstream gradients."""
    known = dict.fromkeys([*targets, *(name[1:] for name in arguments if name[0] == "d" and len(name) > 1)])
    for name in partial:
        if name not in known:
            problem = f"`partial` names `{name}`, of which it neither takes nor returns the gradient"
            raise EquationError(problem, setting="partial", hint=_near(name, known, list(known)))
    return tuple(partial)


def _near(name: str, known: Collection[str], others: Sequence[str]) -> str:
    """A hint for a name that is not known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(others) or 'none'}."


def _conditions(parts: Sequence[str], targets: Sequence[str], ignore: Mapping[str, str]) -> tuple[str, ...]:
    """For each part, the condition under which its entries do not count; empty where all count."""
    known = _called(parts, targets)
    for key in ignore:
        if key not in known:
            problem = f"`ignore` names `{key}`, which is no part of the result"
            raise EquationError(problem, setting="ignore", hint=_near(key, known, parts))
    by_part = {known[key]: condition for key, condition in ignore.items()}
    return tuple(by_part.get(part, "") for part in parts) if by_part else ()


def _shares(parts: Sequence[str], targets: Sequence[str], points: Mapping[str, float]) -> tuple[float, ...]:
    """The points of each part; a key may be a part, `dw`, or the target of a gradient, `w`, or `each`."""
    known = {**_called(parts, targets), "each": "each"}
    for key in points:
        if key not in known:
            problem = f"`points` names `{key}`, which is no part of the result"
            raise EquationError(problem, setting="points", hint=_near(key, known, parts))
    by_part = {known[key]: float(value) for key, value in points.items()}
    missing = [part for part in parts if part not in by_part and "each" not in by_part]
    if missing:
        problem = f"`points` says nothing about {missing[0]}"
        raise EquationError(problem, setting="points", hint="Write `each: 1` for all that are not named.")
    return tuple(by_part.get(part, by_part.get("each", 0.0)) for part in parts)


def _called(parts: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """By what an author may call it, each part: a gradient, `dw`, may be called by its target, `w`."""
    return {**{target: f"d{target}" for target in targets}, **{part: part for part in parts}}


def _name_of(
    path: Path,
    cell: SourceCell,
    defined: Mapping[str, _Definition],
    settings: Mapping[str, Any],
    written: Mapping[str, int],
) -> str:
    """The name of the function or class in a cell that is the exercise; others are its helpers."""
    if "name" in settings:
        if settings["name"] in defined:
            return str(settings["name"])
        problem = f"the cell defines no {settings['name']}, which is the exercise's `name`"
        hint = f"It defines {', '.join(defined) or 'nothing'}."
        raise problem_in(path, cell, problem, hint, line=written.get("name"))
    if "call" in settings:
        try:
            called = Equation.of(settings["call"]).called()
        except EquationError as error:
            line = written.get("call")
            raise problem_in(path, cell, f"`call` cannot be read: {error}", _EXAMPLE, line=line) from error
        found = [name for name in called if name in defined]
        if found:
            return found[0]
        problem = f"`call` uses nothing that this cell defines ({', '.join(defined) or 'it defines nothing'})"
        hint = "Call the function or class of the exercise."
        raise problem_in(path, cell, problem, hint, line=written.get("call"))
    functions = [name for name, node in defined.items() if isinstance(node, ast.FunctionDef)]
    gradients = [name for name in functions if name.startswith("grad_")]
    if not functions and defined:
        return list(defined)[-1]  # a class; what it uses stands above it
    if len(functions) != 1 and len(gradients) != 1:
        problem = f"an exercise cell has {len(functions)} functions, not one"
        raise problem_in(path, cell, problem, "Give each its own cell, or say in `name` which one is the exercise.")
    return functions[0] if len(functions) == 1 else gradients[0]


def _called_as(node: ast.ClassDef) -> str:
    r"""
    How a class may be used: an object is made, and its last public method is called.

    >>> _called_as(tree_of("class A:\n def __init__(self, w): pass\n def loss(self, x, y): pass").body[0])
    'A(w).loss(x, y)'
    """
    methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    public = [method for name, method in methods.items() if not name.startswith("_")]
    made = f"{node.name}({_given(methods.get('__init__'))})"
    return f"{made}.{public[-1].name}({_given(public[-1])})" if public else made


def _given(method: ast.FunctionDef | None) -> str:
    """What a method has to be given: its parameters without `self`, and without those that have defaults."""
    if method is None:
        return ""
    names = [argument.arg for argument in method.args.args]
    return ", ".join(names[1 : len(names) - len(method.args.defaults)])


def _is_bare(cell: SourceCell, name: str) -> bool:
    """Whether a blank of a function has nothing in it but its docstring."""
    try:
        functions = [node for node in tree_of(blanked(cell.code, name)).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError:
        return True
    return len(functions) == 1 and len(functions[0].body) <= 2


def _parameters(node: _Definition) -> tuple[str, ...]:
    return tuple(argument.arg for argument in node.args.args) if isinstance(node, ast.FunctionDef) else ()
