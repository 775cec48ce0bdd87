"""
The geometry of the report's drawings: where lines, ticks and labels go. The templates turn it into SVG.

All lengths are in the units of the drawing's viewBox; y points down.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from grader.model import Curve

__all__ = ["CurvePlot", "Label", "Scatter", "Tick", "number", "plot_curve", "scatter_axes"]

WIDTH, HEIGHT = 460, 246
LEFT, TOP, RIGHT, BOTTOM = 56, 28, 372, 218
LABEL_GAP = 16.0
HUGE = 1e150
"""No larger number is drawn, so that calculations with the numbers do not overflow."""
TINY = 1e-150
"""Smaller numbers count as zero, for the same reason: the logarithm of a quotient of them may not exist."""
OFF_SCALE = 1e6
"""A student's loss beyond this many times the largest reference loss leaves the picture."""
FINE = 30
"""Losses that span more than this factor are drawn on a logarithmic scale."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis, and its text."""

    at: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Text beside a line."""

    x: float
    y: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CurvePlot:
    """The training curve. Paths are SVG path data; `lost` marks where the student's loss leaves the chart."""

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
    """A square raster of points with axes; `line` is the part of y = x within the square, in the drawing's units."""

    uri: str
    size: int
    left: str
    right: str
    bottom: str
    top: str
    line: tuple[float, float, float, float] | None
    alt: str


def number(value: float, digits: int = 4) -> str:
    """
    A number as people read it: rounded to so many significant digits, with a true minus sign.

    >>> number(-0.0000123456), number(64), number(float("nan"))
    ('−1.235e−05', '64', 'nan')
    """
    return f"{value:.{digits}g}".replace("-", "−")


# ------------------------------------------------------------------------------------------------- training curve


def plot_curve(curve: Curve) -> CurvePlot | None:
    """Lay out the training curve; None if there is no finite loss to show."""
    curve = Curve(reference=tuple(map(_near, curve.reference)), student=tuple(map(_near, curve.student)))
    steps = max(len(curve.reference), len(curve.student)) - 1
    drawable = [loss for loss in (*curve.reference, *curve.student) if abs(loss) < HUGE]
    if not drawable or steps < 1:
        return None
    anchor = OFF_SCALE * max((abs(loss) for loss in curve.reference if abs(loss) < HUGE), default=0.0) or HUGE
    scale = _Scale.over(max(min(drawable), -anchor), min(max(drawable), anchor))
    reference, student = _trace(curve.reference, steps, scale), _trace(curve.student, steps, scale)
    same = _alike(curve)
    reference_label, student_label = _labels(reference, student, same=same)
    return CurvePlot(
        width=WIDTH,
        height=HEIGHT,
        box=(LEFT, TOP, RIGHT, BOTTOM),
        x_ticks=tuple(Tick(at=_x(step, steps), text=str(step)) for step in _whole_ticks(steps)),
        y_ticks=tuple(Tick(at=scale.y(value), text=_tick_text(value)) for value in scale.ticks()),
        y_title="loss (log scale)" if scale.log else "loss",
        reference=reference.path,
        student=student.path,
        reference_label=reference_label,
        student_label=student_label,
        lost=Label(x=student.end[0], y=student.end[1], text="×") if student.lost is not None and student.end else None,
        description=_describe(curve, student, same=same),
    )


def _near(loss: float) -> float:
    return 0.0 if abs(loss) < TINY else loss


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The vertical axis, linear or logarithmic."""

    low: float
    high: float
    log: bool

    @classmethod
    def over(cls, low: float, high: float) -> _Scale:
        if low > 0 and high / low > FINE:
            room = (math.log10(high) - math.log10(low)) * 0.06
            return cls(low=low / 10**room, high=high * 10**room, log=True)
        low = min(low, 0.0) if high > 0 and low < 0.5 * high else low
        room = 0.05 * (high - low) or abs(high) or 1.0
        return cls(low=low if low == 0.0 else low - room, high=high + room, log=False)

    def y(self, value: float) -> float:
        if self.log:
            share = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
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
    rough = (high - low) / 4
    if not rough > 1e-300:
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Trace:
    """A curve as drawn: `end` is the last point drawn, `lost` the first step whose loss could not be shown."""

    path: str
    end: tuple[float, float] | None
    lost: int | None


def _trace(losses: Sequence[float], steps: int, scale: _Scale) -> _Trace:
    parts: list[str] = []
    end = None
    for step, loss in enumerate(losses):
        if not abs(loss) < HUGE:
            return _Trace(path="".join(parts), end=end, lost=step)
        end = (_x(step, steps), scale.y(min(max(loss, scale.low), scale.high)))
        parts.append(f"{'L' if parts else 'M'}{end[0]:g} {end[1]:g}")
        if not scale.low <= loss <= scale.high:
            return _Trace(path="".join(parts), end=end, lost=step)
    return _Trace(path="".join(parts), end=end, lost=None)


def _alike(curve: Curve) -> bool:
    return len(curve.reference) == len(curve.student) and all(
        math.isclose(reference, student, rel_tol=1e-3)
        for reference, student in zip(curve.reference, curve.student, strict=True)
    )


def _labels(reference: _Trace, student: _Trace, *, same: bool) -> tuple[Label | None, Label | None]:
    """Each curve's name beside its end; the names are moved apart where they would overlap."""
    ends = [trace.end for trace in (reference, student)]
    if same and ends[1]:
        return None, Label(x=ends[1][0] + 8, y=ends[1][1] + 4, text="both")
    heights = [end[1] if end else 0.0 for end in ends]
    if ends[0] and ends[1] and abs(heights[0] - heights[1]) < LABEL_GAP and abs(ends[0][0] - ends[1][0]) < RIGHT / 4:
        middle = min(max(sum(heights) / 2, TOP + LABEL_GAP / 2), BOTTOM - LABEL_GAP / 2)
        upwards = LABEL_GAP / 2 if heights[1] <= heights[0] else -LABEL_GAP / 2
        heights = [middle + upwards, middle - upwards]
    labels = [
        Label(x=end[0] + 10, y=height + 4, text=text) if end else None
        for end, height, text in zip(ends, heights, ("autograd", "yours"), strict=True)
    ]
    return labels[0], labels[1]


def _describe(curve: Curve, student: _Trace, *, same: bool) -> tuple[str, ...]:
    """The curve in sentences: for its caption, and for people who cannot see it."""
    sentences = []
    if len(curve.reference) >= 2:
        first, last = curve.reference[0], curve.reference[-1]
        sentences.append(
            f"In {_steps(len(curve.reference) - 1)} of training with autograd’s gradients, the loss goes "
            f"from {number(first)} to {number(last)}."
        )
    if same:
        return (*sentences, "With your gradients, the curve is the same.")
    lost = next((step for step, loss in enumerate(curve.student) if not math.isfinite(loss)), None)
    leaves = student.lost is not None and student.lost != lost
    if leaves and student.lost is not None:
        sentences.append(f"With your gradients, it leaves the chart (×) after {_steps(student.lost)}.")
    if lost is not None:
        subject = "It" if leaves else "With your gradients, it"
        sentences.append(f"{subject} is no longer a finite number after {_steps(lost)}.")
    elif leaves:
        sentences.append(f"It is {number(curve.student[-1])} after {_steps(len(curve.student) - 1)}.")
    elif len(curve.student) >= 2:
        first, last, steps = curve.student[0], curve.student[-1], _steps(len(curve.student) - 1)
        sentences.append(f"With your gradients, it goes from {number(first)} to {number(last)} in {steps}.")
    return tuple(sentences)


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def _tick_text(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= value < 1e6 else number(value)


# -------------------------------------------------------------------------------------------------------- scatter


def scatter_axes(
    uri: str, across: tuple[float, float], up: tuple[float, float], *, points: int, size: int = 168
) -> Scatter:
    """Put axes around a raster that covers the ranges `across` and `up`."""
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
        left=number(left, digits=3),
        right=number(right, digits=3),
        bottom=number(bottom, digits=3),
        top=number(top, digits=3),
        line=line,
        alt=f"{points:,} entries as points. Across: the reference, from {number(left)} to {number(right)}. Up: yours, "
        f"from {number(bottom)} to {number(top)}. Right entries lie on the line where both are equal.",
    )
