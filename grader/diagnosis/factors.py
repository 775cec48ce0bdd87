"""
Names a constant factor from what an exercise knows: the number of rows, the sizes of its arguments, small numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

__all__ = ["Factor", "name_factor"]

_POWERS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
_CLOSE = 2e-4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """
    A factor a · N^power, N being the number of rows.

    Attributes:
        text: How it is said, `2`, `1/N`.
        is_plain: Whether it is one that a derivation may well have: not just any number.
        hard_coded: A batch size that was written down instead of N, if the factor is N over that number.
    """

    scale: float
    power: float
    text: str
    is_plain: bool
    hard_coded: int | None = None

    @property
    def is_sign(self) -> bool:
        """Whether it is −1, and nothing else."""
        return self.power == 0 and self.text == "−1"


def name_factor(observed: Sequence[tuple[float, int]], sizes: Mapping[str, Iterable[int]]) -> Factor | None:
    """
    The one law that explains the factor on every case.

    Args:
        observed: Per case, the factor and the number of rows. Rows must differ between cases.
        sizes: The sizes of each argument, which a factor may be.

    >>> name_factor([(64.0, 64), (48.0, 48), (17.0, 17)], {}).text
    'N'
    >>> name_factor([(0.25, 64), (0.1875, 48)], {}).hard_coded
    256
    >>> name_factor([(2.0, 64), (3.0, 48), (1.0, 17)], {}) is None
    True
    """
    for power in _POWERS:
        scales = [factor / rows**power for factor, rows in observed]
        scale = scales[0]
        if not all(math.isclose(other, scale, rel_tol=_CLOSE) for other in scales):
            continue
        count = 1 / abs(scale)
        is_count = abs(power) == 1 and _is_integer(count if power == 1 else abs(scale))
        written = round(count if power == 1 else abs(scale)) if is_count else 0
        text, is_plain = _say(scale, power, sizes)
        return Factor(
            scale=scale, power=power, text=text, is_plain=is_plain, hard_coded=written if written >= 8 else None
        )
    return None


def _say(scale: float, power: float, sizes: Mapping[str, Iterable[int]]) -> tuple[str, bool]:
    rows = {0.0: "", 1.0: "N", -1.0: "1/N", 2.0: "N²", -2.0: "1/N²", 0.5: "√N", -0.5: "1/√N"}[power]
    number, is_plain = _number(scale, sizes)
    if not rows:
        return number, is_plain
    if math.isclose(scale, 1, rel_tol=_CLOSE):
        return rows, True
    if math.isclose(scale, -1, rel_tol=_CLOSE):
        return f"−{rows}", True
    return f"{number} · {rows}", is_plain


def _number(scale: float, sizes: Mapping[str, Iterable[int]]) -> tuple[str, bool]:
    sign, size = ("−" if scale < 0 else ""), abs(scale)
    for name, many in sizes.items():
        for one in many:
            if one > 4 and math.isclose(size, one, rel_tol=_CLOSE):
                return f"{sign}{one} (a size of {name})", True
            if one > 4 and math.isclose(size * one, 1, rel_tol=_CLOSE):
                return f"{sign}1/{one} ({one} is a size of {name})", True
    simple = Fraction(size).limit_denominator(1000)
    is_simple = (
        simple > 0 and math.isclose(size, float(simple), rel_tol=_CLOSE) and 1 in (simple.numerator, simple.denominator)
    )
    if is_simple:
        return f"{sign}{simple}", max(simple.numerator, simple.denominator) <= 16 or simple.denominator in (
            100,
            255,
            1000,
        )
    return f"{sign}{size:.4g}", False


def _is_integer(value: float) -> bool:
    return math.isclose(value, round(value), rel_tol=_CLOSE)
