"""
Gives a constant factor a name: from the number of rows, the sizes of the arguments, and simple numbers.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

__all__ = ["Factor", "name_factor"]

_POWERS = {0.0: "", 1.0: "N", -1.0: "1/N", 2.0: "N²", -2.0: "1/N²", 0.5: "√N", -0.5: "1/√N"}
"""The powers of the number of rows that a factor may have, and their names."""
_CLOSE = 2e-4
_SMALLEST_BATCH = 8
_SMALLEST_SIZE = 5
_LARGEST_SIMPLE = 16
_LARGEST = 1e30
"""A larger factor, or a smaller one than its inverse, has no name. Computing with it could overflow."""
_CONSTANTS = {
    "1/ln 2": 1 / math.log(2),
    "ln 2": math.log(2),
    "1/ln 10": 1 / math.log(10),
    "ln 10": math.log(10),
    "√2": 2**0.5,
    "1/√2": 2**-0.5,
}
_LIKELY_DENOMINATORS = (100, 255, 1000)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """
    A factor of the form scale · N^power, where N is the number of rows.

    Attributes:
        text: Its name, such as `2` or `1/N`.
        is_likely: Whether a mistake in a derivation is likely to produce it.
        hard_coded: The batch size that was written down in place of N, if the factor is N over that number or its
            inverse.
    """

    scale: float
    power: float
    text: str
    is_likely: bool
    hard_coded: int | None = None

    @property
    def logarithm(self) -> bool:
        """Whether it is the factor between the slopes of a natural logarithm and of another."""
        return "ln" in self.text

    @property
    def is_sign(self) -> bool:
        """Whether it is −1."""
        return self.power == 0 and self.text == "−1"


def name_factor(observed: Sequence[tuple[float, int]], sizes: Mapping[str, Iterable[int]]) -> Factor | None:
    """
    Find the formula that gives the observed factor on every case.

    Args:
        observed: The factor and the number of rows, for each case. The number of rows must differ between cases.
        sizes: The sizes of each argument. A factor may be one of them.

    >>> name_factor([(64.0, 64), (48.0, 48), (17.0, 17)], {}).text
    'N'
    >>> name_factor([(0.25, 64), (0.1875, 48)], {}).hard_coded
    256
    >>> name_factor([(2.0, 64), (3.0, 48), (1.0, 17)], {}) is None
    True
    >>> name_factor([(1.00001, 64), (1.00001, 48)], {}) is None  # "1 times" explains nothing
    True
    >>> name_factor([(math.inf, 64), (math.inf, 48)], {}) is name_factor([(1e-323, 64), (5e-324, 48)], {}) is None
    True
    """
    if all(math.isclose(factor, 1, rel_tol=_CLOSE) for factor, _ in observed):
        return None
    if not all(1 / _LARGEST < abs(factor) < _LARGEST for factor, _ in observed):
        return None
    for power in _POWERS:
        scales = [factor / rows**power for factor, rows in observed]
        scale = scales[0]
        if all(math.isclose(other, scale, rel_tol=_CLOSE) for other in scales):
            text, is_likely = _describe(scale, power, sizes)
            hard_coded = _hard_coded_rows(scale, power)
            return Factor(scale=scale, power=power, text=text, is_likely=is_likely, hard_coded=hard_coded)
    return None


def _hard_coded_rows(scale: float, power: float) -> int | None:
    if abs(power) != 1:
        return None
    rows = 1 / abs(scale) if power == 1 else abs(scale)
    is_integer = math.isclose(rows, round(rows), rel_tol=_CLOSE)
    return round(rows) if is_integer and round(rows) >= _SMALLEST_BATCH else None


def _describe(scale: float, power: float, sizes: Mapping[str, Iterable[int]]) -> tuple[str, bool]:
    """The name of a factor, and whether it is a likely one."""
    rows = _POWERS[power]
    number, is_likely = _describe_number(scale, sizes)
    if not rows:
        return number, is_likely
    if math.isclose(scale, 1, rel_tol=_CLOSE):
        return rows, True
    if math.isclose(scale, -1, rel_tol=_CLOSE):
        return f"−{rows}", True
    return f"{number} · {rows}", is_likely


def _describe_number(number: float, sizes: Mapping[str, Iterable[int]]) -> tuple[str, bool]:
    sign, magnitude = ("−" if number < 0 else ""), abs(number)

    def is_close(value: float) -> bool:
        return math.isclose(magnitude, value, rel_tol=_CLOSE)

    for text, value in itertools.chain(_named_sizes(sizes), _CONSTANTS.items()):
        if is_close(value):
            return f"{sign}{text}", True
    fraction = Fraction(magnitude).limit_denominator(1000)
    if fraction > 0 and is_close(float(fraction)) and 1 in (fraction.numerator, fraction.denominator):
        is_small = max(fraction.numerator, fraction.denominator) <= _LARGEST_SIMPLE
        return f"{sign}{fraction}", is_small or fraction.denominator in _LIKELY_DENOMINATORS
    return f"{sign}{magnitude:.4g}", False


def _named_sizes(sizes: Mapping[str, Iterable[int]]) -> Iterator[tuple[str, float]]:
    """What a factor may be called that has to do with a size: the size, its root, and the inverse of both."""
    named = [(name, size) for name, of_argument in sizes.items() for size in of_argument if size >= _SMALLEST_SIZE]
    for name, size in named:
        yield f"{size} (a size of {name})", size
        yield f"1/{size} ({size} is a size of {name})", 1 / size
    for name, size in named:
        if not (size**0.5).is_integer():
            yield f"√{size} ({size} is a size of {name})", size**0.5
            yield f"1/√{size} ({size} is a size of {name})", size**-0.5
