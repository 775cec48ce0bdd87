"""
Parses code that somebody handed in, in time and memory that grow with its length only.

CPython's parser keeps to that but for two things. Of a dotted name in an import it keeps every beginning, so that a
line of 200 KB takes 10 GB. And what it returns is as deep as the code, which ends some of its versions (3.10), and
some programs that walk over it. So both are limited before the parser is called.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from grader.trees import tree_of

__all__ = ["TooComplexError", "check_depth", "defined_in", "parse_code"]

_NAME = "/dev/null/cell"
"""What the parser takes for the name of the file, and tries to open when it finds an error. There never is one."""
_DEPTH = 1_000
"""How deep an expression may be, by an estimate that is never too small."""
_ELIFS = 2_900
_DOTS = 50
"""How many dots the name of an imported module may have."""
_TOKEN = re.compile(
    r"""
    (?P<string>(?P<prefix>[rRbBuUfFtT]{0,2})
        (?:'''(?:[^\\']+|\\(?:.|\Z)|'(?!''))*(?:'''|\Z) | \"""(?:[^\\"]+|\\(?:.|\Z)|"(?!""))*(?:\"""|\Z)
        | '(?:[^\\'\n]+|\\(?:.|\Z))*(?:'|(?=\n)|\Z) | "(?:[^\\"\n]+|\\(?:.|\Z))*(?:"|(?=\n)|\Z)))
    | (?P<skip>\#[^\n]*|\\\n|\d[\w.]*|[^\S\n]+)
    | (?P<name>\w+)
    | (?P<sign>\n|[^\w\s])
    """,
    re.VERBOSE | re.DOTALL,
)
_FIELD = re.compile(r"\{[^{}]*")
_NESTS = re.compile(r"[-+*/%@&|^~<>.(\[{]|\b(?:not|lambda|if|else|await|and|or)\b")
_NESTING = frozenset({"not", "lambda", "if", "else", "await", "and", "or", "in", "is", "for", "yield"})


class TooComplexError(ValueError):
    """Code that is not given to the parser; the message says why, as the end of a sentence."""


def parse_code(code: str, *, flags: int = 0) -> ast.Module:
    """
    The syntax tree of some code, without warnings about it.

    Args:
        flags: More flags for `compile`.

    Raises:
        SyntaxError: It is not Python.
        ValueError: It cannot be parsed; a `TooComplexError` if it is too deep for that.
        MemoryError, RecursionError: The parser gave up.
    """
    check_depth(code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the grader does not warn about a student's `is 0` or `\d`
        return tree_of(code, filename=_NAME, flags=flags)


def check_depth(code: str) -> None:
    """
    Look whether code is so deep that it should not be parsed, in one pass over it.

    Raises:
        TooComplexError: It is.
    """
    elifs = 0
    look = _Look()
    for token in _TOKEN.finditer(code):
        kind = token.lastgroup
        if kind == "name":
            name = token[0]
            elifs += name == "elif"
            look.word(name)
        elif kind == "sign":
            look.sign(token[0])
        elif kind == "string" and token["prefix"] and token["prefix"].lower().strip("rb") in ("f", "t"):
            look.deeper(sum(len(_NESTS.findall(field)) for field in _FIELD.findall(token[0])))
        if elifs > _ELIFS or look.dots > _DOTS:
            break
    if look.dots > _DOTS:
        raise TooComplexError("the name of a module that it imports has too many dots")
    look.sign("\n")
    if look.deepest > _DEPTH:
        raise TooComplexError("an expression in it is nested too deeply")
    if elifs > _ELIFS:
        raise TooComplexError(f"it has more than {_ELIFS:,} times `elif`")


class _Look:
    """
    Adds up how deep an expression can be at most: by its brackets, and by its operators since the last comma.

    What a `lambda` begins ends at no comma.
    """

    def __init__(self) -> None:
        self.deepest = 0
        """How deep any statement is, but for one that never ends, which is not Python."""
        self.dots = 0
        self._depth = 0
        self._here = 0
        self._most = 0
        self._outer: list[tuple[int, int]] = []
        self._lambdas = 0
        self._imports = False

    def deeper(self, by: int = 1) -> None:
        self._depth += by
        self._here += by
        self._most = max(self._most, self._depth)

    def word(self, name: str) -> None:
        if name in _NESTING:
            self.deeper()
            if name == "lambda":
                self._lambdas += 1
        elif name in ("import", "from"):
            self._imports, self.dots = True, 0

    def sign(self, sign: str) -> None:
        if sign in "([{":
            self.deeper()
            self._outer.append((self._here, self._lambdas))
            self._here = self._lambdas = 0
        elif sign in ")]}":
            if self._outer:
                self._depth -= self._here
                self._here, self._lambdas = self._outer.pop()
        elif sign == ",":
            self._depth -= self._here - self._lambdas
            self._here = self._lambdas
            self.dots = 0
        elif sign in "\n;":
            if not self._outer:
                self.deepest = max(self.deepest, self._most)
                self._depth = self._here = self._lambdas = self._most = self.dots = 0
                self._imports = False
        elif sign == ".":
            self.deeper()
            self.dots += self._imports
        elif sign not in ":=!?":
            self.deeper()


def defined_in(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Names defined at module level, also inside if, for, try and with blocks."""
    waiting: list[ast.stmt] = tree.body[::-1]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, ast.Assign):
            yield from ((target.id, node) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node
        else:
            blocks = [getattr(node, block, ()) for block in ("body", "orelse", "finalbody")]
            blocks += [handler.body for handler in getattr(node, "handlers", ())]
            for block in reversed(blocks):
                waiting += reversed(block)
