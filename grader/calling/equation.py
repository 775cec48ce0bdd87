"""
How a function is called and what it must return, as one equation: `layer_backward(dz, (x, w, b)) == (dx, dw, db)`.

The left side is Python that an author writes: it reads names of the network, `x`, or of gradients, `dz`. It may
have several lines; the last one is the equation. So a cache may be packed, a class may be used, or an attribute read
that a method has left behind. The right side is made of *parts*, in tuples, lists and dicts: a part is a name, or an
expression of names, such as `len(x) * dz`.

Nothing but Python's own parser is needed to read an equation: the process that calls students' functions reads it, too.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from grader.trees import tree_of

__all__ = ["Equation", "EquationError", "Template", "evaluate", "free_names", "parts_asked"]

Template = int | list[Any] | dict[Any, Any]
"""Where each part is in a result: its number, or a list or dict of templates."""

_MODULES = frozenset({"torch", "np", "numpy", "math"})
_MOST_PARTS = 100
_KEYS = (str, int)


class EquationError(ValueError):
    """
    A text is not an equation, or settings do not fit to one: the message is the end of a sentence, and says why.

    Args:
        setting: The setting that is at fault.
        hint: What to do, if that is not to write another equation.
    """

    def __init__(self, problem: str, *, setting: str = "call", hint: str = "") -> None:
        super().__init__(problem)
        self.setting = setting
        self.hint = hint


@dataclasses.dataclass(frozen=True)
class Equation:
    """
    An equation.

    Attributes:
        text: As the author wrote it.
        call: The left side, Python that ends in an expression.
        template: The place of each part in the result.
        parts: The expressions on the right side, in their order.
        result: The right side.
    """

    text: str
    call: str
    template: Template
    parts: tuple[str, ...]
    result: str

    @staticmethod
    @functools.lru_cache(maxsize=1024)
    def of(text: str) -> Equation:
        """
        Read an equation.

        Raises:
            EquationError: It is not Python, its last line is not `call == result`, or its result is not of that form.

        >>> equation = Equation.of("f(dz, cache=(x, w)) == (dx, {'W': dw})")
        >>> equation.template, equation.parts, equation.names
        ([0, {'W': 1}], ('dx', 'dw'), ('dz', 'x', 'w'))
        """
        try:
            body = tree_of(textwrap.dedent(text).strip()).body
        except (SyntaxError, ValueError) as error:
            raise EquationError(f"it is not Python ({getattr(error, 'msg', error)})") from error
        last = body[-1].value if body and isinstance(body[-1], ast.Expr) else None
        if not (isinstance(last, ast.Compare) and len(last.ops) == 1 and isinstance(last.ops[0], ast.Eq)):
            raise EquationError("its last line has no `==` between a call and what it must return")
        parts: list[str] = []
        template = _template(last.comparators[0], parts)
        if not parts or len(parts) > _MOST_PARTS:
            raise EquationError(f"it has {len(parts)} parts on its right side, and may have 1 to {_MOST_PARTS}")
        call = ast.Module([*body[:-1], ast.Expr(last.left)], [])
        return Equation(
            textwrap.dedent(text).strip(), ast.unparse(call), template, tuple(parts), ast.unparse(last.comparators[0])
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the call reads and that are no functions, modules or variables of its own, in their order."""
        return free_names(self.call)

    def bind(self, variables: dict[str, Any]) -> Callable[..., Any]:
        """
        A function that evaluates the call.

        Args:
            variables: Where names are looked up that are not given to it by name: functions and classes, above all.
        """

        def call(**given: Any) -> Any:
            named = {name: value for name, value in given.items() if name in self.names}
            return types.FunctionType(_compiled(self.call, tuple(named)), variables)(**named)

        return call

    def called(self) -> tuple[str, ...]:
        """The names of the functions and classes that the call uses, in their order."""
        functions = [node.func for node in _walk(self.call) if isinstance(node, ast.Call)]
        names = [function.id for function in functions if isinstance(function, ast.Name)]
        return tuple(dict.fromkeys(name for name in names if not hasattr(builtins, name)))

    def place_of(self, part: int) -> tuple[str, bool]:
        """
        Where the call takes a part of its result from, as an expression, and whether that is all that is there.

        >>> equation = Equation.of("dx = layer.backward(dz); (dx, layer.grads) == (dx, {'W': dW})")
        >>> equation.place_of(0), equation.place_of(1)
        (('layer.backward(dz)', True), ('layer.grads', False))
        """
        body = tree_of(self.call).body
        last = body[-1]
        assert isinstance(last, ast.Expr)
        node, template = last.value, self.template
        while not isinstance(template, int):
            pairs = list(zip(_elements(node), _inner(template), strict=False))
            if len(_inner(template)) != len(_elements(node)):
                break
            node, template = next((n, t) for n, t in pairs if part in _numbers(t))
        for statement in reversed(body[:-1]):
            if isinstance(node, ast.Name) and isinstance(statement, ast.Assign):
                (target, *_) = statement.targets
                if isinstance(target, ast.Name) and target.id == node.id:
                    node = statement.value
        return ast.unparse(node), isinstance(template, int)

    def given_to(self, name: str, parameters: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """
        By parameter of a function or method, the names of what the call gives it.

        >>> Equation.of("f(2 * dz, (x, w), scale=s) == dx").given_to("f", ["dout", "cache", "scale"])
        {'dout': ('dz',), 'cache': ('x', 'w'), 'scale': ('s',)}
        """
        for node in _walk(self.call):
            if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
                given = [*zip(parameters, node.args, strict=False), *((k.arg, k.value) for k in node.keywords)]
                return {str(parameter): free_names(ast.unparse(value)) for parameter, value in given}
        return {}


def evaluate(expression: str, values: Mapping[str, Any], variables: dict[str, Any]) -> Any:
    """
    The value of an expression, such as a part of a result.

    Args:
        values: What its names stand for.
        variables: Where names are looked up that are not among the values.

    >>> evaluate("len(x) * dz", {"x": [1, 2], "dz": 3.0, "y": 0}, {})
    6.0
    """
    names = tuple(name for name in free_names(expression) if name in values)
    return types.FunctionType(_compiled(expression, names), variables)(**{name: values[name] for name in names})


@functools.lru_cache(maxsize=1024)
def parts_asked(equation: str, targets: Sequence[str]) -> tuple[str, ...]:
    """What a result has in it, as one writes it: `dw1` for a target, or the parts of an equation, if there is one."""
    return Equation.of(equation).parts if equation else tuple(f"d{target}" for target in targets)


@functools.lru_cache(maxsize=1024)
def free_names(code: str) -> tuple[str, ...]:
    """
    The names that Python code reads before it has bound them, without those that it calls, modules and builtins.

    >>> free_names("layer = Linear(w); layer.forward(x); torch.stack([f(row) for row in x])")
    ('w', 'x')
    """
    nodes = list(_walk(code))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    found = [
        node
        for node in nodes
        if isinstance(node, ast.Name) and id(node) not in called and node.id not in bound | _MODULES
    ]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in found if not hasattr(builtins, node.id)))


def _template(node: ast.expr, parts: list[str]) -> Template:
    """The template of an expression; its parts are added to a list."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return [_template(element, parts) for element in node.elts]
    if isinstance(node, ast.Dict):
        if not all(isinstance(key, ast.Constant) and isinstance(key.value, _KEYS) for key in node.keys):
            raise EquationError("a key of a dict on its right side is neither text nor a whole number")
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        return {key: _template(value, parts) for key, value in zip(keys, node.values, strict=True)}
    parts.append(ast.unparse(node))
    return len(parts) - 1


def _inner(template: Template) -> list[Template]:
    return [] if isinstance(template, int) else list(template.values() if isinstance(template, dict) else template)


def _elements(node: ast.expr) -> list[ast.expr]:
    """What is written in a tuple, a list or a dict."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return node.elts
    return node.values if isinstance(node, ast.Dict) else []


def _numbers(template: Template) -> list[int]:
    """The numbers of the parts in a template."""
    if isinstance(template, int):
        return [template]
    return [number for inner in _inner(template) for number in _numbers(inner)]


@functools.lru_cache(maxsize=1024)
def _compiled(call: str, names: tuple[str, ...]) -> types.CodeType:
    """The code of a function with these parameters that evaluates a call."""
    body = tree_of(call).body
    last = body[-1]
    assert isinstance(last, ast.Expr)
    function = tree_of(f"def call({', '.join(names)}): pass")
    definition = function.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body = [*body[:-1], ast.copy_location(ast.Return(last.value), last)]
    module = compile(ast.fix_missing_locations(function), "<call>", "exec")
    return next(constant for constant in module.co_consts if isinstance(constant, types.CodeType))


def _walk(code: str) -> Iterator[ast.AST]:
    return ast.walk(tree_of(code))
