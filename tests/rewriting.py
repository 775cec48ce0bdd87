"""
Rewrites right answers as other people would write them: other orders of summation, constants in float32, copies, loops.

Each place in the code of an answer is rewritten on its own, into a call of one of the functions in `STYLES`.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Sequence

__all__ = ["STYLES", "perturbed", "rewritten"]

Choose = Callable[[Sequence[str]], str]
"""Chooses one of several names. The first one is that of the plainest style."""

STYLES = """
import torch


def product(a, b): return a @ b
def product_by_einsum(a, b): return torch.einsum("...ij,...jk->...ik", a, b)
def product_row_by_row(a, b):
    return torch.stack([part @ (b[place] if b.ndim > 2 else b) for place, part in enumerate(a)])
def product_in_chunks(a, b):
    total = 0
    for start in range(0, a.shape[-1], 7):
        total = total + a[..., start : start + 7] @ b[..., start : start + 7, :]
    return total
def product_backwards(a, b): return a.flip(-1) @ b.flip(-2)
def product_transposed(a, b): return (b.mT @ a.mT).mT
def product_of_entries(a, b): return (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(-2)
def product_in_numpy(a, b): return torch.from_numpy(a.numpy() @ b.numpy())
def product_in_wide_numpy(a, b): return torch.from_numpy(a.numpy().astype("f8") @ b.numpy().astype("f8")).to(a.dtype)
def product_into_zeros(a, b):
    product = a @ b
    out = torch.zeros(product.shape)
    out += product
    return out


def axes(t, dim): return tuple(range(t.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
def total(t, dim=None, keepdim=False): return t.sum(axes(t, dim), keepdim)
def total_backwards(t, dim=None, keepdim=False): return t.flip(axes(t, dim)).sum(axes(t, dim), keepdim)
def total_in_chunks(t, dim=None, keepdim=False):
    return sum(part.sum(axes(t, dim), keepdim) for part in t.split(5, axes(t, dim)[0]))
def total_one_by_one(t, dim=None, keepdim=False):
    first = axes(t, dim)[0]
    out = torch.zeros_like(t.select(first, 0))
    for part in t.unbind(first):
        out += part
    return out.unsqueeze(first).sum(axes(t, dim), keepdim)
def total_cumulated(t, dim=None, keepdim=False):
    first = axes(t, dim)[0]
    return t.cumsum(first).narrow(first, t.shape[first] - 1, 1).sum(axes(t, dim), keepdim)
def total_in_numpy(t, dim=None, keepdim=False):
    return torch.as_tensor(t.numpy().sum(axes(t, dim), keepdims=keepdim))


def count(t, dim): return torch.ones(t.shape).sum(axes(t, dim)).flatten()[0].item()
def average(t, dim=None, keepdim=False): return t.mean(axes(t, dim), keepdim)
def average_with_a_float32_share(t, dim=None, keepdim=False):
    return total_in_chunks(t, dim, keepdim) * torch.tensor(1 / count(t, dim))
def average_of_shares(t, dim=None, keepdim=False):
    return (t * torch.full((1,) * t.ndim, 1 / count(t, dim))).sum(axes(t, dim), keepdim)
def average_by_division(t, dim=None, keepdim=False): return total_one_by_one(t, dim, keepdim) / count(t, dim)


def quotient(a, n): return a / n
def quotient_by_a_share(a, n): return a * (1 / n)
def quotient_by_a_float32_share(a, n): return a * torch.tensor(1 / n)
def quotient_by_a_float32_number(a, n): return a / torch.full((), float(n))
def quotient_by_a_float32_root(a, n): return a / torch.sqrt(torch.tensor(float(n) ** 2))
def quotient_on_a_clone(a, n): return a.clone().div_(n)


def number(n): return n
def number_in_float32(n): return torch.tensor(float(n))
def number_in_a_float32_vector(n): return torch.full((1,), float(n))[0]


def times(a, b): return a * b
def times_swapped(a, b): return b * a
def times_on_a_clone(a, b): return spread(a, b).mul_(b)
def times_by_einsum(a, b):
    a, b = torch.broadcast_tensors(torch.as_tensor(a), torch.as_tensor(b))
    kind = torch.result_type(a, b)
    return torch.einsum("...,...->...", a.to(kind), b.to(kind))
def plus(a, b): return a + b
def plus_swapped(a, b): return b + a
def plus_on_a_clone(a, b): return spread(a, b).add_(b)
def minus(a, b): return a - b
def minus_turned(a, b): return -(b - a)
def minus_on_a_clone(a, b): return spread(a, b).sub_(b)
def spread(a, b):
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    if a.ndim == 0 and b.ndim > 0:
        a = a.to(b.dtype)
    return a.to(torch.result_type(a, b)).expand(torch.broadcast_shapes(a.shape, b.shape)).clone()


def same(t): return t
def same_cloned(t): return t.clone()
def same_as_a_view(t): return t[...].view_as(t)
def same_with_odd_strides(t):
    if t.ndim > 1: return t.mT.contiguous().mT
    return t.repeat_interleave(2)[::2] if t.ndim else t
def same_in_numpy(t): return torch.from_numpy(t.numpy().copy())
def same_row_by_row(t): return torch.stack(list(t)) if t.ndim else t
def same_in_chunks(t): return torch.cat(t.split(3)) if t.ndim else t
def same_in_zeros(t):
    if not t.is_floating_point(): return t
    out = torch.zeros(t.shape)
    out[...] = t
    return out


def whole(function, arguments): return function(*arguments)
def whole_in_float32(function, arguments):
    value = function(*(a.float() if a.is_floating_point() else a for a in arguments))
    return tuple(part.float() for part in value) if isinstance(value, tuple) else value.float()
def whole_in_float32_and_back(function, arguments):
    dtype = next(a.dtype for a in arguments if a.is_floating_point())
    value = function(*(a.float() if a.is_floating_point() else a for a in arguments))
    return tuple(part.to(dtype) for part in value) if isinstance(value, tuple) else value.to(dtype)
"""
"""A cell with the functions, each of which does the same as the first one of its family."""

FAMILIES = ("product", "total", "average", "quotient", "number", "times", "plus", "minus", "same", "whole")
NARROW = ("product_into_zeros", "same_in_zeros", "whole_in_float32", "whole_in_float32_and_back")
"""Styles that compute in float32 whatever the dtype of the arguments is."""
CONSTANTS = ("EPS", "DECAY", "KEEP")


@functools.cache
def family(name: str, *, narrow: bool) -> tuple[str, ...]:
    """The names of the functions in a family, the plain one first."""
    names = [node.name for node in ast.parse(STYLES).body if isinstance(node, ast.FunctionDef)]
    return tuple(n for n in names if n.split("_")[0] == name and (narrow or n not in NARROW))


def rewritten(code: str, name: str, choose: Choose, *, narrow: bool = True) -> str:
    """
    A function in other styles.

    Args:
        narrow: Also use styles that compute in float32, whatever the dtype of the arguments is.
    """
    tree = ast.parse(code)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    parameters = [argument.arg for argument in function.args.args]
    rewriter = _Rewriter(parameters, lambda of: choose(family(of, narrow=narrow)))
    function.body = [rewriter.visit(statement) for statement in function.body]
    function.name = f"inner_{name}"
    style = choose(family("whole", narrow=narrow))
    outer = f"def {name}({', '.join(parameters)}):\n    return {style}({function.name}, [{', '.join(parameters)}])"
    return f"{ast.unparse(ast.fix_missing_locations(tree))}\n\n\n{outer}\n"


def perturbed(code: str, name: str, change: str) -> str:
    """A function whose result is changed: `change` is an expression of `value`, a list of tensors."""
    parameters = ", ".join(argument.arg for argument in _arguments(code, name))
    return (
        f"{code}\n\n\nright_{name} = {name}\n\n\n"
        f"def {name}({parameters}):\n"
        f"    value = right_{name}({parameters})\n"
        f"    value = list(value) if isinstance(value, tuple) else [value]\n"
        f"    {change}\n"
        f"    return value[0] if len(value) == 1 else tuple(value)\n"
    )


def _arguments(code: str, name: str) -> list[ast.arg]:
    function = next(n for n in ast.parse(code).body if isinstance(n, ast.FunctionDef) and n.name == name)
    return function.args.args


def _is_number(node: ast.expr) -> bool:
    """Whether an expression is a number without being a tensor: sizes, constants, and what is computed from them."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    if isinstance(node, ast.Name):
        return node.id in CONSTANTS
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "len"
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape"


class _Rewriter(ast.NodeTransformer):
    """Replaces operations and operands by calls of the chosen functions."""

    def __init__(self, parameters: Sequence[str], choose: Callable[[str], str]) -> None:
        self._parameters = parameters
        self._choose = choose

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if _is_number(node):
            return node
        families = {ast.MatMult: "product", ast.Div: "quotient", ast.Mult: "times", ast.Add: "plus", ast.Sub: "minus"}
        of = families.get(type(node.op))
        if of is None or (of == "quotient" and not _is_number(node.right)):
            return self.generic_visit(node) if of else ast.BinOp(self.visit(node.left), node.op, node.right)
        operands = [self._operand(node.left), node.right if of == "quotient" else self._operand(node.right)]
        return _call(self._choose(of), *operands)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        of = {"sum": "total", "mean": "average"}.get(getattr(node.func, "attr", ""))
        if of is None or not isinstance(node.func, ast.Attribute):
            return self.generic_visit(node)
        call = _call(self._choose(of), self.visit(node.func.value), *node.args)
        call.keywords = node.keywords
        return call

    def visit_Name(self, node: ast.Name) -> ast.AST:
        is_read = isinstance(node.ctx, ast.Load) and node.id in self._parameters
        return _call(self._choose("same"), node) if is_read else node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        assert node.value is not None
        if isinstance(node.value, ast.Tuple):
            parts = [_call(self._choose("same"), self.visit(part)) for part in node.value.elts]
            return ast.Return(ast.Tuple(parts, ast.Load()))
        return ast.Return(_call(self._choose("same"), self.visit(node.value)))

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        value = self._operand(node.value) if isinstance(node.targets[0], ast.Subscript) else self.visit(node.value)
        return ast.Assign(node.targets, value)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        return node

    def _operand(self, node: ast.expr) -> ast.expr:
        return _call(self._choose("number"), node) if _is_number(node) else self.visit(node)


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
