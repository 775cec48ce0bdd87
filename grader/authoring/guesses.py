"""
Guesses from a function's code how it is called and what it returns, for the draft of a source notebook.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from nbformat import NotebookNode

from grader.calling.equation import Equation, EquationError

__all__ = ["guess_call", "left_side", "section_of", "title_in"]

_KINDS = (ast.Name, ast.Tuple, ast.List, ast.Dict, ast.Constant, ast.expr_context)
_RETURNS = re.compile(r"\breturns?\b(.*)", re.IGNORECASE | re.DOTALL)
_GRADIENT = re.compile(r"(?:^|(?<=[\s(,`-]))(d_?([A-Za-z]\w*))(?=\s*(?:[:,).`]|-|$))", re.MULTILINE)
_TOGETHER = re.compile(r"\(d\w+(?:,\s*d\w+)+\)")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)[ #]*$|^(\S.*)\n(?:=+|-+) *$|<h[1-6][^>]*>(.+?)</h[1-6]>", re.MULTILINE)
_FENCE = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)
_MOST_LETTERS = 2
_DEEPEST = 3


def guess_call(node: ast.FunctionDef) -> str:
    """The equation of a function, from its parameters and what it returns; empty if that cannot be seen."""
    try:
        result = _result(node) or _documented(node)
        return Equation.of(f"{left_side(node)} == {result}" if result else "").text
    except (EquationError, RecursionError):
        return ""


def left_side(node: ast.FunctionDef) -> str:
    """
    How a function is probably called: what it takes a parameter apart into stands in the parameter's place.

    >>> left_side(ast.parse("def f(dz, cache, reg=0): x, (w, b) = cache; g = p['g']").body[0])
    'f(dz, (x, (w, b)))'
    """
    defaults = len(node.args.args) - len(node.args.defaults)
    return f"{node.name}({', '.join(_unpacked(node, argument.arg) for argument in node.args.args[:defaults])})"


def title_in(text: str) -> str:
    """The first heading of a text in Markdown, of any level; empty if it has none."""
    match = _HEADING.search(_FENCE.sub("", text))
    found = next(filter(None, match.groups()), "") if match else ""
    return re.sub(r"<[^>]*>", "", found).strip()


def section_of(cells: Sequence[NotebookNode], number: int) -> int:
    """
    The number of the cell that begins the section which a cell is in; the notebook's title begins none.

    Args:
        number: That of the cell. It is returned if there is no heading above it but the title.
    """
    levels = [_level(cell.source) if cell.cell_type == "markdown" else 0 for cell in cells[:number]]
    title = next((place for place, level in enumerate(levels) if level), number)
    found, highest = number, 7
    for place in range(number - 1, title, -1):
        if 0 < levels[place] < highest:
            found, highest = place, levels[place]
    return found


def _level(text: str) -> int:
    """The level of the first heading of a text in Markdown, from 1; 0 if it has none."""
    match = _HEADING.search(_FENCE.sub("", text))
    heading = match.group().strip() if match else ""
    marked = re.match(r"#+", heading) or re.match(r"<h([1-6])", heading)
    if marked is None:
        return 0 if not heading else 1 if heading.endswith("=") else 2
    return int(marked[1]) if marked.re.groups else len(marked[0])


def _unpacked(node: ast.FunctionDef, parameter: str, depth: int = 0) -> str:
    """A parameter, or what the function takes it apart into: `(x, w, b)` for `x, w, b = cache`, or a dict."""
    for target, value in _pairs(node):
        if not (isinstance(value, ast.Name) and value.id == parameter) or depth > _DEEPEST:
            continue
        if isinstance(target, (ast.Tuple, ast.List)) and all(isinstance(part, _KINDS) for part in ast.walk(target)):
            return _taken_apart(node, target, depth)
        if isinstance(target, ast.Name) and target.id != parameter and parameter == "cache":
            return _unpacked(node, target.id, depth + 1)
    keys = [
        part.slice.value
        for part in ast.walk(node)
        if isinstance(part, ast.Subscript)
        and isinstance(part.ctx, ast.Load)
        and isinstance(part.value, ast.Name)
        and part.value.id == parameter
        and isinstance(part.slice, ast.Constant)
        and isinstance(part.slice.value, str)
    ]
    if keys and all(key.isidentifier() for key in keys):
        return "{" + ", ".join(f"{key!r}: {key}" for key in dict.fromkeys(keys)) + "}"
    return parameter


def _taken_apart(node: ast.FunctionDef, target: ast.Tuple | ast.List, depth: int) -> str:
    parts = [
        _taken_apart(node, part, depth + 1)
        if isinstance(part, (ast.Tuple, ast.List))
        else _unpacked(node, ast.unparse(part), depth + 1)
        for part in target.elts
    ]
    return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"


def _pairs(node: ast.FunctionDef) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What a function assigns to what; `a, b = c, d` as two assignments."""
    for statement in ast.walk(node):
        if not isinstance(statement, ast.Assign):
            continue
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            yield from zip(target.elts, value.elts, strict=True)
        else:
            yield target, value


def _result(node: ast.FunctionDef) -> str | None:
    """What a function returns, if that is made of names; a dict or tuple that it has put into a name is written out."""
    returns = [statement.value for statement in ast.walk(node) if isinstance(statement, ast.Return) and statement.value]
    if not returns or not _is_of_names(returns[-1]):
        return None
    pairs = [(target, value) for target, value in _pairs(node) if isinstance(target, ast.Name)]
    made = {
        target.id: value for target, value in pairs if isinstance(value, (ast.Dict, ast.Tuple)) and _is_of_names(value)
    }
    filled = _filled(node)

    def written(value: ast.expr) -> str:
        if isinstance(value, ast.Name) and value.id in made and ast.unparse(made[value.id]) != "{}":
            return written(made.pop(value.id))
        if isinstance(value, ast.Name) and value.id in filled:
            return "{" + ", ".join(f"{key!r}: {name}" for key, name in filled[value.id].items()) + "}"
        if isinstance(value, ast.Tuple):
            return "(" + ", ".join(map(written, value.elts)) + ("," if len(value.elts) == 1 else "") + ")"
        return ast.unparse(value)

    return written(returns[-1])


def _filled(node: ast.FunctionDef) -> dict[str, dict[str, str]]:
    """What a function puts into dicts under texts as keys: by the dict's name, the key and the name of a gradient."""
    filled: dict[str, dict[str, str]] = {}
    for target, _ in _pairs(node):
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            key = target.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                name = key.value if key.value.startswith("d") else f"d{key.value}"
                filled.setdefault(target.value.id, {})[key.value] = name
    return filled


def _is_of_names(value: ast.expr) -> bool:
    return all(isinstance(part, _KINDS) for part in ast.walk(value))


def _documented(node: ast.FunctionDef) -> str | None:
    """The gradients that a docstring says are returned, `(dx, dw)`; None if it names none."""
    match = _RETURNS.search(ast.get_docstring(node) or "")
    together = _TOGETHER.search(match.group(1)) if match else None
    if together is not None:
        return together.group()
    known = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    known |= {argument.arg for argument in node.args.args}
    found = [
        name
        for name, of in (_GRADIENT.findall(match.group(1)) if match else ())
        if of in known or len(of) <= _MOST_LETTERS or not of.islower()
    ]
    names = list(dict.fromkeys(found))
    return f"({', '.join(names)})" if len(names) > 1 else next(iter(names), None)
