"""
The geometry of the report's drawings: where lines, ticks and labels go. The templates turn it into SVG.

Everything is in the units of the drawing's own viewBox, y downwards.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from grader.model import Curve

__all__ = ["CurvePlot", "Label", "Scatter", "Tick", "number", "plot_curve", "scatter_axes"]

WIDTH, HEIGHT = 460, 250
LEFT, TOP, RIGHT, BOTTOM = 56, 14, 372, 212
LABEL_GAP = 16.0
OFF_SCALE = 1e3
"""A student's loss beyond this many times the largest reference loss leaves the picture."""
FINE = 30
"""Losses that span more than this factor are drawn on a logarithmic scale."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis, and what it says."""

    at: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Words beside a line."""

    x: float
    y: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CurvePlot:
    """The training curve. A path is SVG path data; `lost` is where their loss stopped being shown, if it did."""

    width: int
    height: int
    box: tuple[int, int, int, int]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    y_title: str
    reference: str
    student: str
    reference_label: Label | None
    student_label: Label | None
    lost: Label | None
    description: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """A square raster of points with axes: the y = x line where it crosses the square, in the same units."""

    uri: str
    size: int
    left: str
    right: str
    bottom: str
    top: str
    line: tuple[float, float, float, float] | None
    alt: str


def number(value: float) -> str:
    """
    A number as it is shown to people: four digits, a true minus sign.

    >>> number(-0.000123456), number(64), number(float("nan"))
    ('−1.235e−04', '64', 'nan')
    """
    return f"{value:.4g}".replace("-", "−")


# ------------------------------------------------------------------------------------------------- training curve


def plot_curve(curve: Curve) -> CurvePlot | None:
    """Lay the training curve out; None where there is no finite loss to show."""
    drawable = [loss for loss in (*curve.reference, *curve.student) if math.isfinite(loss)]
    if not drawable or max(len(curve.reference), len(curve.student)) < 2:
        return None
    low, high = min(drawable), max(drawable)
    anchor = [abs(loss) for loss in curve.reference if math.isfinite(loss)]
    if anchor and max(anchor) > 0:
        high, low = min(high, OFF_SCALE * max(anchor)), max(low, -OFF_SCALE * max(anchor))
    scale = _Scale.over(low, high)
    steps = max(len(curve.reference), len(curve.student)) - 1
    reference, _, _ = _path(curve.reference, steps, scale)
    student, last, stopped = _path(curve.student, steps, scale)
    same = _alike(curve)
    return CurvePlot(
        width=WIDTH,
        height=HEIGHT,
        box=(LEFT, TOP, RIGHT, BOTTOM),
        x_ticks=tuple(Tick(at=_x(step, steps), text=str(step)) for step in _whole_ticks(steps)),
        y_ticks=tuple(Tick(at=scale.y(value), text=number(value)) for value in scale.ticks()),
        y_title="loss (log)" if scale.log else "loss",
        reference=reference,
        student=student,
        **_labels(curve, scale, same=same, lost=stopped),
        lost=Label(x=last[0], y=last[1], text="×") if stopped and last else None,
        description=_describe(curve, same=same),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The vertical axis, linear or logarithmic."""

    low: float
    high: float
    log: bool

    @classmethod
    def over(cls, low: float, high: float) -> _Scale:
        if low > 0 and high / low > FINE:
            return cls(low=low, high=high, log=True)
        low = min(low, 0.0) if high > 0 and low < 0.5 * high else low
        room = 0.05 * (high - low) or abs(high) or 1.0
        return cls(low=low if low == 0.0 else low - room, high=high + room, log=False)

    def y(self, value: float) -> float:
        if self.log:
            share = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        else:
            # Halves, since the difference of two huge numbers may overflow.
            share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def ticks(self) -> list[float]:
        if not self.log:
            return _linear_ticks(self.low, self.high)
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        decades = range(first, last + 1, max(1, (last - first) // 4))
        multiples = (1, 3) if last - first < 3 else (1,)
        values = [multiple * 10.0**decade for decade in (first - 1, *decades) for multiple in multiples]
        return [value for value in values if self.low <= value <= self.high]


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high / 2 - low / 2) / 2
    if not (math.isfinite(rough) and rough > 1e-300):
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(multiple * power for multiple in (1, 2, 5, 10) if multiple * power >= rough)
    ticks = [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return ticks if len(ticks) <= 12 else []


def _whole_ticks(steps: int) -> list[int]:
    stride = next((n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if steps / n <= 6), max(1, steps // 4))
    return list(range(0, steps + 1, stride))


def _x(step: int, steps: int) -> float:
    return round(LEFT + (RIGHT - LEFT) * step / steps, 1)


def _path(losses: Sequence[float], steps: int, scale: _Scale) -> tuple[str, tuple[float, float] | None, bool]:
    """Path data up to the first loss that cannot be shown; the last point; and whether there was such a loss."""
    parts: list[str] = []
    point = None
    for step, loss in enumerate(losses):
        if not math.isfinite(loss):
            return "".join(parts), point, True
        inside = scale.low <= loss <= scale.high
        point = (_x(step, steps), scale.y(min(max(loss, scale.low), scale.high)))
        parts.append(f"{'L' if parts else 'M'}{point[0]:g} {point[1]:g}")
        if not inside:
            return "".join(parts), point, True
    return "".join(parts), point, False


def _alike(curve: Curve) -> bool:
    return len(curve.reference) == len(curve.student) and all(
        math.isclose(one, other, rel_tol=1e-3) for one, other in zip(curve.reference, curve.student, strict=True)
    )


def _labels(curve: Curve, scale: _Scale, *, same: bool, lost: bool) -> dict[str, Label | None]:
    ends = [
        next((scale.y(min(max(loss, scale.low), scale.high)) for loss in reversed(losses) if math.isfinite(loss)), None)
        for losses in (curve.reference, curve.student)
    ]
    at, theirs = ends
    x = RIGHT + 8.0
    if same and at is not None:
        return {"reference_label": None, "student_label": Label(x=x, y=at + 4, text="yours and")}
    if at is not None and theirs is not None and abs(at - theirs) < LABEL_GAP and not lost:
        middle = min(max((at + theirs) / 2, TOP + LABEL_GAP / 2), BOTTOM - LABEL_GAP / 2)
        above = -LABEL_GAP / 2 if theirs <= at else LABEL_GAP / 2
        at, theirs = middle - above, middle + above
    steps = max(len(curve.reference), len(curve.student)) - 1
    student_label = None
    if theirs is not None:
        shown = _path(curve.student, steps, scale)[1]
        early = lost and shown is not None and shown[0] < RIGHT - 40
        student_label = Label(x=shown[0] + 10 if early and shown else x, y=theirs + 4, text="yours")
    reference_label = Label(x=x, y=at + 4, text="autograd’s") if at is not None else None
    return {"reference_label": reference_label, "student_label": student_label}


def _describe(curve: Curve, *, same: bool) -> tuple[str, ...]:
    """The curve in words: the drawing's text alternative, and what stands below it."""
    said = []
    if len(curve.reference) >= 2:
        first, last = curve.reference[0], curve.reference[-1]
        steps = len(curve.reference) - 1
        said.append(f"With autograd’s gradients the loss goes from {number(first)} to {number(last)} in {steps} steps.")
    if same:
        return (*said, "With yours it takes the same course.")
    lost = next((step for step, loss in enumerate(curve.student) if not math.isfinite(loss)), None)
    if lost is not None:
        said.append(f"With yours it is no longer a finite number after {lost} {'step' if lost == 1 else 'steps'}.")
    elif len(curve.student) >= 2:
        first, last = curve.student[0], curve.student[-1]
        said.append(f"With yours it goes from {number(first)} to {number(last)} in {len(curve.student) - 1} steps.")
    return tuple(said)


# -------------------------------------------------------------------------------------------------------- scatter


def scatter_axes(
    uri: str, across: tuple[float, float], up: tuple[float, float], *, points: int, size: int = 168
) -> Scatter:
    """Axes around a raster that covers the ranges `across` and `up`."""
    (left, right), (bottom, top) = across, up
    low, high = max(left, bottom), min(right, top)
    line = None
    if low < high:
        ends = [(value - left) / (right - left) * size for value in (low, high)]
        heights = [(top - value) / (top - bottom) * size for value in (low, high)]
        line = (round(ends[0], 1), round(heights[0], 1), round(ends[1], 1), round(heights[1], 1))
    return Scatter(
        uri=uri,
        size=size,
        left=number(left),
        right=number(right),
        bottom=number(bottom),
        top=number(top),
        line=line,
        alt=f"{points:,} entries: the reference’s value across, from {number(left)} to {number(right)}, yours upwards, "
        f"from {number(bottom)} to {number(top)}. Right entries lie on the line on which both are equal.",
    )
