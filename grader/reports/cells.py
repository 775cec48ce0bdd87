"""
Writes points and texts for other programs: into the cells of tables, or into JSON.
"""

from __future__ import annotations

import decimal
import re

from grader.reports.words import visible

__all__ = ["amount", "inert", "points"]

FORMULA = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}", "\N{FULLWIDTH COMMERCIAL AT}")
"""What a formula may begin with; spreadsheets in East Asia take wide characters, too."""


def points(number: float) -> str:
    """
    Write points for a cell: with two decimals, rounded half up.

    >>> points(2.675), points(7)
    ('2.68', '7.00')
    """
    exact = decimal.Decimal(f"{number:.9f}")  # without the error of binary fractions
    return str(exact.quantize(decimal.Decimal("0.01"), rounding=decimal.ROUND_HALF_UP))


def amount(number: float) -> float | int:
    """
    Round points for JSON: without the error of binary fractions, and as an int if they are whole.

    >>> amount(7.0), amount(0.1 + 0.2)
    (7, 0.3)
    """
    rounded = round(number, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def inert(cell: str) -> str:
    """
    Write a text as a cell on one line that no spreadsheet takes for a formula.

    >>> inert("=1+1")
    "'=1+1"
    """
    plain = visible(re.sub(r"[\x00-\x1f\x7f]+", " ", cell)).strip()
    return f"'{plain}" if plain.startswith(FORMULA) else plain
