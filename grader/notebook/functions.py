"""
Reads a notebook's code without running it: where functions are defined, which are blank, what they call.

Functions are found by name, in whichever cell they are: students copy, split, merge and reorder cells.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from collections import defaultdict, deque
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from grader.model import CallError, Code
from grader.notebook.autograd import Autograd
from grader.notebook.calls import Calls
from grader.notebook.magics import as_python
from grader.notebook.parsing import TooComplexError, defined_in, parse_code
from grader.notebook.read import Notebook
from grader.notebook.scope import Scope, called_in, notebook_data, scope_of
from grader.notebook.syntax import why_not_python
from grader.notebook.written import Written, written_in

__all__ = ["Definition", "Finder", "FunctionIndex", "Place", "find_functions", "find_functions_in"]

_PYTHON_MAGICS = re.compile(r"^\s*%%(time|capture|prun|derive)\b.*")
"""Cells whose body runs in the notebook's namespace. What `%%timeit` defines is gone afterwards."""
_DEFINES = re.compile(
    r"^[ \t\f\u00a0\u2000-\u200d\u2060\u3000\ufeff]*(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)|^(\w+)[ \t]*=[^=]",
    re.MULTILINE,
)
_STILL_BLANK = " is still blank"
_MOST_DEFINITIONS = 8
_MOST_REDEFINED = 3
"""How many definitions of one name are kept: the last ones."""


class Place(NamedTuple):
    """
    Where the code of a function begins, as the kernel knows it.

    Attributes:
        cell: The number of the cell, `In [cell]`; 0 if it is in none: a module, or text that was executed.
        line: The line there, from 1. The kernel does not count blank lines before the code.
    """

    cell: int
    line: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """
    One place where a notebook defines a name.

    Attributes:
        is_blank: The body only raises NotImplementedError, or does nothing at all.
        has_blank: Something in its cell raises, as a released cell does where an answer belongs.
        autograd: Uses of autograd that it mentions, or a function of the notebook that it calls: `In [5], line 3: …`.
        scope: What it uses besides its arguments.
        written: What stands in its code, if it is that of an exercise.
        calls: The other exercises that it calls, itself or through helpers, if it is an exercise.
    """

    name: str
    code: Code
    is_blank: bool
    has_blank: bool = False
    autograd: tuple[str, ...] = ()
    scope: Scope = dataclasses.field(default_factory=Scope)
    written: Written = dataclasses.field(default_factory=Written)
    calls: tuple[str, ...] = ()


class Finder(Protocol):
    """Can look further into the code of a notebook."""

    def at(self, name: str, place: Place) -> Definition | None:
        """The function that begins at a place, also within another one or in a class, as the definition of a name."""


@dataclasses.dataclass(frozen=True)
class _Cell:
    number: int
    code: str
    tree: ast.Module
    lines: list[str]
    texts: dict[tuple[int, int], str] = dataclasses.field(default_factory=dict)

    def text(self, node: ast.stmt) -> str:
        """The lines of a statement; the same text for all that stand in the same lines."""
        place = (_first_line(node) - 1, node.end_lineno or node.lineno)
        if place not in self.texts:
            self.texts[place] = _dedented(self.lines[place[0] : place[1]])
        return self.texts[place]

    def whole(self, name: str, calls: Calls) -> Definition:
        """The cell as straight lines, which define nothing."""
        code = Code(text=self.code.strip("\n"), cell=self.number, line=1 + _leading_blank_lines(self.code))
        is_blank = name in self.blanks
        return Definition(
            name=name,
            code=code,
            is_blank=is_blank,
            has_blank=is_blank,
            written=written_in(self.tree),
            calls=calls.of(name, self.tree),
        )

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The names that the cell defines."""
        return frozenset(name for name, _ in defined_in(self.tree))

    @functools.cached_property
    def helpers(self) -> dict[str, str]:
        """The functions that the cell defines, with their code."""
        found = defined_in(self.tree)
        return {name: self.text(node) for name, node in found if isinstance(node, (ast.FunctionDef, ast.ClassDef))}

    @functools.cached_property
    def blanks(self) -> frozenset[str]:
        """The exercises that a statement of the cell says are still blank, as released cells do."""
        raised = (node.exc for node in ast.walk(self.tree) if isinstance(node, ast.Raise))
        messages = (call.args[0] for call in raised if isinstance(call, ast.Call) and call.args)
        texts = (str(message.value) for message in messages if isinstance(message, ast.Constant))
        return frozenset(text.removesuffix(_STILL_BLANK) for text in texts if text.endswith(_STILL_BLANK))

    @functools.cached_property
    def functions(self) -> dict[int, ast.stmt]:
        """By line, the function that begins there, or a simple statement that has a `lambda` there."""
        found: dict[int, ast.stmt] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.setdefault(_first_line(node), node)
            elif isinstance(node, ast.stmt) and not hasattr(node, "body"):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Lambda):
                        found.setdefault(inner.lineno, node)
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class _Cells:
    """The cells that are Python, and what is known about all of them together."""

    by_number: dict[int, _Cell]
    autograd: Autograd
    calls: Calls
    data: frozenset[str]

    def define(self, name: str, node: ast.stmt, cell: _Cell, *, in_full: bool) -> Definition:
        """The definition of a name by a statement; `in_full` with what the statement uses."""
        return Definition(
            name=name,
            code=Code(text=cell.text(node), cell=cell.number, line=_first_line(node)),
            is_blank=isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_blank(node),
            has_blank=name in cell.blanks,
            autograd=self.autograd.evidence(node, cell.number) if in_full else (),
            scope=self._scope(node, cell) if in_full else Scope(),
            written=written_in(node) if in_full else Written(),
            calls=self.calls.of(name, node) if in_full else (),
        )

    def _scope(self, node: ast.stmt, cell: _Cell) -> Scope:
        called = {name: self._again(name, cell) for name in called_in(node)}
        redefined = [(name, *cells) for name, cells in called.items() if cells is not None]
        return dataclasses.replace(scope_of(node, self.data), redefined=tuple(redefined[:_MOST_REDEFINED]))

    def _again(self, name: str, caller: _Cell) -> tuple[int, int] | None:
        """If a cell after the caller's defines a function again: the last up to it, and the last one."""
        texts = {number: cell.helpers[name] for number, cell in self.by_number.items() if name in cell.helpers}
        meant = max((number for number in texts if number <= caller.number), default=None)
        last = max(texts, default=0)
        return (meant, last) if meant is not None and last > caller.number and texts[last] != texts[meant] else None

    def at(self, name: str, place: Place) -> Definition | None:
        """The function that begins at a place, also within another one or in a class, as the definition of a name."""
        cell = self.by_number.get(place.cell)
        if cell is None:
            return None
        node = cell.functions.get(place.line + _leading_blank_lines(cell.code))
        if node is not None:
            return self.define(name, node, cell, in_full=True)
        if name in cell.names:
            return None
        return cell.whole(name, self.calls)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FunctionIndex:
    """
    The functions that a notebook's code defines: what is known before anything runs.

    Attributes:
        definitions: By name, in the order of the notebook.
        syntax_errors: By cell number, `In [n]`.
        broken_names: Names that a cell with a syntax error would have defined, with that cell's number.
        finder: Looks further into the cells; None if nobody can.
    """

    definitions: dict[str, tuple[Definition, ...]]
    syntax_errors: dict[int, CallError]
    broken_names: dict[str, int]
    finder: Finder | None = dataclasses.field(default=None, repr=False, compare=False)

    def last(self, name: str) -> Definition | None:
        """The last definition, or None if there is none. It need not be the one that ran."""
        definitions = self.definitions.get(name, ())
        return definitions[-1] if definitions else None

    def ran(self, name: str, place: Place | None) -> Definition | None:
        """
        The definition of the function that ran under a name.

        Args:
            place: Where its code begins, if that is known.

        Returns:
            The best guess if the place is in no cell: the last definition that is not blank, or None.
        """
        if place is not None and place.cell:
            found = self.finder.at(name, place) if self.finder is not None else None
            here = [definition for definition in self.definitions.get(name, ()) if definition.code.cell == place.cell]
            if found is not None or here:
                return found or here[-1]
        return next((each for each in reversed(self.definitions.get(name, ())) if not each.is_blank), None)

    def scope(self, name: str, place: Place | None) -> Scope:
        """What the function that ran uses besides its arguments; an empty scope if its code is not known."""
        definition = self.ran(name, place)
        return definition.scope if definition is not None else Scope()


def find_functions(notebook: Notebook, exercises: Collection[str] = ()) -> FunctionIndex:
    """
    Find every module-level function of a notebook, and the cells that are not Python.

    Args:
        exercises: The names of the functions to search for autograd, for variables of the notebook and for one another.
    """
    return find_functions_in({cell.number: cell.code for cell in notebook.cells}, exercises)


def find_functions_in(
    codes: Mapping[int, str], exercises: Collection[str] = (), *, data: frozenset[str] | None = None
) -> FunctionIndex:
    """
    The same for some cells only, given as their code by cell number, `In [number]`.

    Args:
        data: The variables of the notebook that hold data, if they are known.
    """
    cells: list[_Cell] = []
    syntax_errors: dict[int, CallError] = {}
    broken_names: dict[str, int] = {}
    for number, code in codes.items():
        tree = _parse(code, number)
        if isinstance(tree, CallError):
            syntax_errors[number] = tree
            broken_names |= {function or variable: number for function, variable in _DEFINES.findall(code)}
        else:
            cells.append(_Cell(number, code, tree, code.split("\n")))
    known = _Cells(
        by_number={cell.number: cell for cell in cells},
        autograd=Autograd(cells),
        calls=Calls((cell.tree for cell in cells), exercises),
        data=notebook_data([cell.tree for cell in cells]) if data is None else data,
    )
    places: defaultdict[str, deque[tuple[ast.stmt, _Cell]]] = defaultdict(lambda: deque(maxlen=_MOST_DEFINITIONS))
    for cell in cells:
        for name, node in defined_in(cell.tree):
            places[name].append((node, cell))
    definitions = {
        name: tuple(known.define(name, node, cell, in_full=name in exercises) for node, cell in found)
        for name, found in places.items()
    }
    for cell in cells:
        definitions |= {
            name: (cell.whole(name, known.calls),) for name in cell.blanks if name in exercises and name not in places
        }
    return FunctionIndex(definitions=definitions, syntax_errors=syntax_errors, broken_names=broken_names, finder=known)


def _parse(code: str, number: int) -> ast.Module | CallError:
    lines = code.split("\n")
    first = _leading_blank_lines(code)
    if first:
        lines[0] = "pass"  # IPython would drop leading blank lines and shift line numbers
    if _PYTHON_MAGICS.match(lines[first]):
        lines[first] = "pass"  # the body is Python that runs in the notebook's namespace
    elif lines[first].lstrip().startswith("%%"):
        lines = ["pass"]
    try:
        return parse_code(as_python("\n".join(lines)), flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        message = why_not_python(error, "\n".join(lines))
        return CallError(type=type(error).__name__, message=message, cell=number, line=error.lineno)
    except TooComplexError as error:
        return CallError(type="SyntaxError", message=f"the cell cannot be parsed: {error}", cell=number)
    except Exception as error:  # whatever the parsers of Python and IPython raise, the cell is at fault
        return CallError(type="SyntaxError", message=f"the cell cannot be parsed ({type(error).__name__})", cell=number)


def _is_blank(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = [
        node
        for node in function.body
        if not isinstance(node, ast.Pass) and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    return not body or (len(body) == 1 and isinstance(body[0], ast.Raise) and _raises_not_implemented(body[0]))


def _raises_not_implemented(statement: ast.Raise) -> bool:
    raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _leading_blank_lines(code: str) -> int:
    return next((index for index, line in enumerate(code.split("\n")) if line.strip()), 0)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _dedented(lines: list[str]) -> str:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:] for line in lines)
