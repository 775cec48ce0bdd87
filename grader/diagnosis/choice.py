"""
Chooses between mistakes that have the same effect on the numbers: by what stands in the student's own code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

from grader.diagnosis.mutants import TERMS_LEFT_OUT, Mutant
from grader.notebook.written import Written, features_of
from grader.trees import tree_of

__all__ = [
    "as_written",
    "best_of",
    "brackets_are_in_no_sum",
    "computes_more",
    "is_left_out",
    "is_possible",
    "sums",
    "term_cancels",
]

_TAKES_PARTS = (
    "first_row_for_all", "last_row_for_all", "first_part_for_all", "last_part_for_all", "only_first_row",
    "only_last_row", "drop_last_row", "first_of_sum", "first_of_parts", "last_of_sum", "operand_flipped",
    "index_flipped",
)  # fmt: skip
_LEFT_OUT = (*TERMS_LEFT_OUT, "drop_term_of_upstream", "only_last_row", "last_of_sum")
"""Edits that leave out terms: so does code that replaces one by the next."""
_LIKE_A_SLOPE = ("other_brackets", "one_added")
"""Edits that may end in the slope of another activation: 1 - a * a is that of a tanh."""
_SUMS = ("sum", "mean", "cumsum", "einsum", "ones", "new_ones", "ones_like", "dot", "mm", "matmul", "bmm")
_BROADCAST = ("flatten_operand", "flat_then_averaged")
"""Edits that say what a transpose does, too, where it turns a column into a row: it makes a table of two columns."""
_FLATTENS = (
    "flatten", "ravel", "squeeze", "squeeze_", "reshape", "view", "T", "t", "mT", "transpose", "permute", "unsqueeze",
)  # fmt: skip
_TRANSPOSES = (*_FLATTENS, "einsum", "outer", "swapaxes", "movedim", "tensordot", "stack", "apply_along_axis")
_OF_EXP = ("cosh", "sinh", "expm1", "exp2", "logaddexp")
_PRODUCTS = (
    "MatMult", "Mult", "Div", "mul", "mul_", "multiply", "prod", "div", "div_", "divide", "true_divide", "dot", "mm",
    "mv", "bmm", "matmul", "outer", "einsum", "tensordot", "linear", "addmm", "addcmul", "addcdiv",
)  # fmt: skip
_TURNS = ("T", "t", "mT", "transpose", "permute", "swapaxes", "movedim", "unsqueeze")
_DIVIDES = ("div", "div_", "true_divide", "reciprocal", "pow")
_POWERS = ("pow", "sqrt", "rsqrt", "square")
_DIAGONAL = ("eye", "diag", "diagflat", "diag_embed", "diagonal", "fill_diagonal_")
_RAISED = ("Pow", *_POWERS)
_MULTIPLIED = ("Mult", "Div", "mul", "mul_", "multiply", *_DIVIDES[:3], "divide")
_BY_INDEX = ("one_hot", "scatter", "scatter_", "index_add_", "index_put_", "eye")
_DECIDE = ("operand_to_mask", "operand_sign", "operand_abs", "operand_clamped", "result_abs", "result_clamped")
"""Edits that treat some numbers in another way than others."""
_CLEARLY_NEARER = 2
"""How many operations, names and numbers fewer have to differ from the student's code."""
_WEAK = (
    "arguments_swapped",
    "operand_summed",
    "compared_sums",
    "another_logarithm",
    "pass_through",
    "reshaped_operand",
)
"""Edits that are hardly what a student did if another one explains the same numbers."""


def _has(*words: str) -> Callable[[Written], bool]:
    """Whether one of these words stands in the code."""
    return lambda written: not written.words.isdisjoint(words)


def sums(written: Written) -> bool:
    """Whether something is summed in the code."""
    return not written.words.isdisjoint(_SUMS) or "MatMult" in written.operators


def _divides(written: Written) -> bool:
    return "Div" in written.operators or not written.words.isdisjoint(_DIVIDES)


def _raises(written: Written) -> bool:
    """Whether something is raised to a power in the code."""
    return "Pow" in written.operators or not written.words.isdisjoint(_POWERS)


_NEEDS: dict[str, Callable[[Written], bool]] = {
    **dict.fromkeys(("size_off_by_one", "variance_of_sample"), lambda written: written.may_be_off_by_one),
    **dict.fromkeys(("operand_summed", "compared_sums"), sums),
    "another_logarithm": _divides,
    **dict.fromkeys(
        ("mean_for_sum", "mean_of_result", "computed_again"), lambda written: written.takes_a_mean or _divides(written)
    ),
    "set_in_every_row": lambda written: written.takes_parts or not written.words.isdisjoint(_BY_INDEX),
    **dict.fromkeys(_BROADCAST, lambda written: written.takes_parts or not written.words.isdisjoint(_FLATTENS)),
    "add_transpose": lambda written: written.takes_parts or not written.words.isdisjoint(_TRANSPOSES),
    **dict.fromkeys(("short_range", "short_range_of_places"), lambda written: written.has_loop),
    "mask_selects": lambda written: written.takes_parts or written.decides,
    **dict.fromkeys(_DECIDE, lambda written: written.decides or "bool" in written.words or written.count("Invert") > 0),
    "jacobian_transposed": _has(*_DIAGONAL),
    "only_effect_on_others": lambda written: (
        not written.words.isdisjoint(_DIAGONAL) or (written.has_loop and written.decides)
    ),
    "operand_rounded": _has("round", "round_", "floor", "int", "long", "rint"),
    **{f"{function}_once_more": _has(function, "exp", *_OF_EXP) for function in ("sigmoid", "tanh", "softmax")},
    **dict.fromkeys(_TAKES_PARTS, lambda written: written.takes_parts or "flip" in written.words),
}
"""What must stand in the code, if it is known, for an edit to be what the student did."""


def best_of(mutants: Iterable[Mutant], written: Written, solution: Written) -> Mutant | None:
    """
    Of mutants that return the same numbers, the one that is most like what the student wrote.

    Args:
        mutants: The preferred ones first; where the code says nothing, the first one is the best.
        solution: What stands in the solution.
    """
    possible = [mutant for mutant in mutants if is_possible(mutant, written, solution)]
    if not possible:
        return None
    weak = _WEAK if not written.words.isdisjoint(_TURNS) else (*_WEAK, "add_transpose")
    possible = [mutant for mutant in possible if mutant.edits[0].name not in weak] or possible
    possible = [mutant for mutant in possible if not _is_there(mutant, written, solution)] or possible
    if any(mutant.edits[0].diagnosis == "wrong_slope" for mutant in possible):
        possible = [mutant for mutant in possible if mutant.edits[0].name not in _LIKE_A_SLOPE]
    terms = [mutant for mutant in possible if mutant.edits[0].name == "drop_term_of_upstream"]
    if terms:
        return terms[0]
    broadcast = next((mutant for mutant in possible if mutant.edits[0].name in _BROADCAST), None)
    if broadcast is not None:
        return broadcast
    kinds = {edit.diagnosis for mutant in possible for edit in mutant.edits[:1]}
    if len(kinds) == 1 or not written.is_known:
        return possible[0]
    return min(possible, key=lambda mutant: written.distance(mutant.code))


def term_cancels(mutants: Sequence[Mutant], best: Mutant, written: Written, solution: Written) -> bool:
    """Whether a term that the code has comes to nothing, and other kinds of mistakes are about as like it as `best`."""
    if not written.is_complete or not any(
        mutant.edits[0].name in TERMS_LEFT_OUT and _is_there(mutant, written, solution) for mutant in mutants
    ):
        return False
    others = (mutant for mutant in mutants if mutant.edits[0].diagnosis != best.edits[0].diagnosis)
    nearest = min(
        (written.distance(mutant.code) for mutant in others if is_possible(mutant, written, solution)), default=None
    )
    return nearest is not None and nearest < written.distance(best.code) + _CLEARLY_NEARER


def is_possible(mutant: Mutant, written: Written, solution: Written) -> bool:
    """Whether the code does not speak against the edits. What a helper of the student's does is not known."""
    if not written.is_complete:
        return True
    names = [edit.name for edit in mutant.edits]
    if not all(_NEEDS[name](written) for name in names if name in _NEEDS):
        return False
    edited = list(zip(names, mutant.operands, strict=True))
    if any(name == "operand_of_ones" and written.count(operand) for name, operand in edited):
        return False  # its values are used
    if any(edit.diagnosis == "precedence" for edit in mutant.edits) and (
        not _has_all_of(mutant, written) or _is_another_derivation(written, solution)
    ):
        return False  # brackets move, and nothing is lost or new
    if any(
        features_of(mutant.code)[operand] > 1 >= written.count(operand)
        for name, operand in edited
        if name == "wrong_operand"
    ):
        return False  # it stands there once, where it belongs
    if "wrong_operand" in names and solution.is_known and written.counts(solution.names) == solution.counts():
        return False  # every name stands there as often as it should
    return "scaled_term" not in names or written.constants != solution.constants


def _has_all_of(mutant: Mutant, written: Written) -> bool:
    """Whether all arguments of a mutant that it reads are in the student's code, too; and products, if it has any."""
    features = features_of(mutant.code)
    arguments = (node.arg for node in ast.walk(tree_of(mutant.code)) if isinstance(node, ast.arg))
    if any(features[name] and not written.count(name) for name in arguments):
        return False
    has = set(written.words).union(written.operators)
    return not has.isdisjoint(_PRODUCTS) or not any(features[name] for name in _PRODUCTS)


def brackets_are_in_no_sum(written: Written) -> bool:
    """Whether each term of a sum is computed apart from it, and nothing is a power: no bracket can be lost there."""
    return written.sums_are_apart and not _raises(written)


def computes_more(written: Written, solution: Written) -> bool:
    """Whether more powers, and also more products or quotients, are in the student's code than in the solution."""
    return solution.is_known and all(
        sum(map(written.count, words)) > sum(map(solution.count, words)) for words in (_RAISED, _MULTIPLIED)
    )


def _is_another_derivation(written: Written, solution: Written) -> bool:
    """Whether the student's code divides and raises to a power, and the solution does neither."""
    does_neither = solution.is_known and not _divides(solution) and not _raises(solution)
    return does_neither and _divides(written) and _raises(written)


def is_left_out(mutant: Mutant, written: Written) -> bool:
    """Whether each term that the edits leave out may be missing in the student's code: none of its names is there."""
    if not written.is_complete:
        return True
    return not any(
        edit.name in TERMS_LEFT_OUT and operand in written.words and not features_of(mutant.code)[operand]
        for edit, operand in zip(mutant.edits, mutant.operands, strict=True)
    )


def _is_there(mutant: Mutant, written: Written, solution: Written) -> bool:
    """Whether what an edit leaves out stands in the student's code as often as in the solution."""
    name = mutant.operands[0] if mutant.operands else ""
    leaves_out = mutant.edits[0].name in (*TERMS_LEFT_OUT, "drop_factor")
    return leaves_out and 0 < solution.count(name) <= written.count(name)


def as_written(name: str, written: Written, part: str = "") -> tuple[str, str, str] | None:
    """
    What an edit is called if the code shows how it came about: the diagnosis, the key of an observation, a variable.

    Args:
        name: The edit's name.
        part: The part of the result that is wrong, if it is one of several: only a variable of this name may be it.
    """
    if not written.is_known:
        return None
    lost = next((each for each in written.lost if part in ("", each)), "")
    if name in _LEFT_OUT and lost:
        return "overwrites", "overwritten", lost
    if name == "only_last_row" and not written.has_loop:
        return "one_row", "only_last_row", ""
    if name == "last_of_sum" and written.set_in_loop:
        return "overwrites", "set_in_loop", written.set_in_loop[0]
    return None
