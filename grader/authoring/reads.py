"""
Finds the files that a notebook's code reads, as far as literals show which ones these are.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["UNKNOWN", "files_read"]

UNKNOWN = "…"
"""What stands in a path where the code computes it."""

_FUNCTIONS = frozenset({"open", "Path", "imread", "loadtxt", "genfromtxt", "urlopen", "urlretrieve", "loadmat"})
"""Functions that read the file that is their first argument, of whatever module; so do those called `read_…`."""
_OF_MODULES = frozenset({("np", "load"), ("numpy", "load"), ("torch", "load"), ("h5py", "File")})
_OF_PATHS = frozenset({"read_text", "read_bytes"})
_WRITING = frozenset("wax")
_MOST, _LONGEST = 12, 200
"""How many values of an expression are followed, and how many characters a path may have."""


def files_read(trees: Sequence[ast.Module]) -> list[str]:
    """
    The paths of the files that some code reads, each once; `…` stands for what no literal shows.

    >>> files_read([ast.parse("DATA = 'data'; x = np.load(DATA + '/x.npy'); y = open(name); open('log', 'w')")])
    ['data/x.npy', '…']
    """
    nodes = [node for tree in trees for node in ast.walk(tree)]
    values = dict[str, list[ast.expr]]()
    for node in nodes:
        for name, value in _assigned(node):
            values.setdefault(name, []).append(value)
    paths, found = _Paths(values), dict[str, None]()
    for node in nodes:
        path = _read_by(node) if isinstance(node, ast.Call) else None
        if path is not None:
            try:
                found |= dict.fromkeys(paths.of(path))
            except RecursionError:
                found[UNKNOWN] = None
    return [path for path in found if not any(other.startswith(f"{path}/") for other in found)]


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement sets, each with a value that it may have."""
    if isinstance(node, ast.Assign):
        yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Name):
        several = node.iter.elts if isinstance(node.iter, (ast.List, ast.Tuple)) else [node.iter]
        yield from ((node.target.id, value) for value in several)


def _read_by(call: ast.Call) -> ast.expr | None:
    """The expression that is the path of what a call reads; None if it reads nothing."""
    function, first = call.func, next(iter(call.args), None)
    if isinstance(function, ast.Name):
        return first if _is_reader(function.id) and not _writes(call) else None
    if not isinstance(function, ast.Attribute):
        return None
    if function.attr in _OF_PATHS:
        return function.value
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if (owner, function.attr) in _OF_MODULES or _is_reader(function.attr):
        is_method = function.attr == "open" and (first is None or _mode(first) is not None)  # `path.open("r")`
        return None if _writes(call) else function.value if is_method else first
    return None


def _is_reader(name: str) -> bool:
    return name in _FUNCTIONS or name.startswith("read_")


def _writes(call: ast.Call) -> bool:
    """Whether a call opens a file to write it."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    return any(_WRITING & {*(_mode(value) or "")} for value in (*call.args, *named))


def _mode(value: ast.expr) -> str | None:
    """The mode of `open` that a value is, if it is one."""
    text = value.value if isinstance(value, ast.Constant) else None
    return text if isinstance(text, str) and 0 < len(text) <= 3 and {*text} <= {*"rwaxbt+"} else None


class _Paths:
    """What the expressions of a notebook may be as text."""

    def __init__(self, values: Mapping[str, Sequence[ast.expr]]) -> None:
        self._values = values
        self._known = dict[ast.expr, list[str]]()

    def of(self, node: ast.expr) -> list[str]:
        """At most `_MOST` texts, with `…` for what is not known."""
        if node not in self._known:
            self._known[node] = [UNKNOWN]  # for a variable that depends on itself
            self._known[node] = [text if len(text) <= _LONGEST else UNKNOWN for text in self._texts(node)]
        return self._known[node]

    def _texts(self, node: ast.expr) -> list[str]:
        parts, between = _parts(node)
        if parts is not None:
            several = itertools.islice(itertools.product(*map(self.of, parts)), _MOST)
            return [between.join(each) for each in several]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [node.value]
        if isinstance(node, ast.Name) and node.id in self._values:
            return [text for value in self._values[node.id][:_MOST] for text in self.of(value)][:_MOST]
        return [UNKNOWN]


def _parts(node: ast.expr) -> tuple[Sequence[ast.expr] | None, str]:
    """The expressions that a path is put together from, and what comes between them; None if it has no parts."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
        return (node.left, node.right), "/" if isinstance(node.op, ast.Div) else ""
    if isinstance(node, ast.JoinedStr):
        return [value.value if isinstance(value, ast.FormattedValue) else value for value in node.values], ""
    if isinstance(node, ast.Call) and node.args and not node.keywords:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("Path", "join", "joinpath", "str", "open", "urlopen"):
            is_of_path = name == "joinpath" and isinstance(node.func, ast.Attribute)
            return [*([node.func.value] if is_of_path else []), *node.args], "/"  # type: ignore[attr-defined]
    return None, ""
