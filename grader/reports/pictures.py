"""
Pictures of gradients: turns arrays into small PNG data URIs, and into sentences about them.

All pictures of a gradient share one colour scale. Zero is transparent, negative entries are blue, positive ones orange,
and entries that are not finite magenta. Blue and orange look different with every kind of colour blindness, and
transparent pictures fit light and dark pages. Captions state only what the numbers show; they do not name mistakes.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from grader.model import BatchView
from grader.reports.svg import Scatter, number, scatter_axes

__all__ = ["BAD", "LEVELS", "LINE", "Gallery", "Picture", "levels", "picture_view"]

Array: TypeAlias = npt.NDArray[np.float64]
Pixels: TypeAlias = npt.NDArray[np.uint8]

LEVELS = 31
"""The number of shades on each side of zero. Zero has the pixel value LEVELS; LINE and BAD follow the shades."""
LINE = 2 * LEVELS + 1
BAD = LINE + 1
NEGATIVE, POSITIVE, NEUTRAL, NOT_FINITE = (37, 120, 214), (222, 92, 12), (125, 130, 140), (200, 30, 170)

SIDE, MAX_SIDE = 28, 64
MAX_TILES = 64
MAX_CELLS, FEW_CELLS, CELL, HIGHEST = 128, 12, 24, 320
FEW_POINTS, FEW_BINS, MANY_BINS = 400, 42, 84


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """
    One PNG: `kind` says how large to show it, `label` names it, and `alt` describes it.

    If it `has_own_size`, it is shown in that: few entries, or many rows, would be enormous at the width of all others.
    """

    kind: Literal["sheet", "heat", "strip"]
    label: str
    alt: str
    uri: str
    width: int
    height: int
    has_own_size: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """
    The pictures of one part of a result, and of the reference unless `single`: then the two agree.

    `caption` is about the pictures; `words` say the same without them. `scale` is the value at the colour scale's end,
    as text; None without pictures.
    """

    part: str
    what: str
    single: bool
    caption: tuple[str, ...]
    words: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    scatter: Scatter | None = None
    scale: str | None = None
    legend: str = ""


def picture_view(view: BatchView, *, right: bool, tolerance: float | None = None, what: str = "gradient") -> Gallery:
    """
    Draw one part of a result, `dw1`.

    Args:
        view: The gradient and its reference, of any shapes.
        right: Whether the gradient is right. If it is, or if it agrees with the reference on this batch, one picture
            replaces the student's, the reference, the difference and the scatter plot.
        what: What it is, `gradient` or `result`.
        tolerance: Entries count as equal up to this difference; by default, a hundred-thousandth of the largest entry.
    """
    with np.errstate(invalid="ignore"):  # a NaN that signals
        got, expected = np.asarray(view.got, dtype=np.float64), np.asarray(view.expected, dtype=np.float64)
    same = got.shape == expected.shape
    largest = _largest(expected)
    close = tolerance if tolerance is not None and np.isfinite(tolerance) else 1e-5 * largest
    scale = _scale(expected) or _scale(got) or 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        difference = got - expected if same else None
    single = right or (difference is not None and bool((np.abs(difference) <= close).all()))
    pictures = [_draw(got, scale, "yours", f"Your {view.part}")]
    if not single:
        pictures.append(_draw(expected, scale, "reference", f"The reference of {view.part}"))
        if difference is not None:
            times = _magnified(difference, scale)
            label = "difference" if times == 1 else f"difference × {times:,}"
            minus = f"Your {view.part} minus the reference"
            pictures.append(
                _draw(times * difference, scale, label, minus if times == 1 else f"{minus}, times {times:,},")
            )
    drawn = tuple(picture for picture in pictures if picture is not None)
    return Gallery(
        part=view.part,
        what=what,
        single=single,
        caption=tuple(_caption(got, expected, close=close, scale=scale, single=single)),
        words=() if single else tuple(_in_words(got, expected, close=close)),
        pictures=drawn,
        scatter=_scatter(got, expected) if same and not single else None,
        scale=number(scale, digits=2) if drawn else None,
        legend=_legend() if drawn else "",
    )


# ------------------------------------------------------------------------------------------------ values to pixels


def levels(values: Array, scale: float) -> Pixels:
    """
    The pixel of each value: LEVELS at zero, even steps up to `scale` on both sides, clipped beyond; BAD if not finite.

    >>> levels(np.array([-1.0, 0.0, 0.5, 9.0, np.nan]), 1.0).tolist()
    [0, 31, 47, 62, 64]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        shades = np.rint(np.clip(values / scale, -1.0, 1.0) * LEVELS)
    finite = np.isfinite(values)
    return np.where(finite, np.where(finite, shades, 0.0) + LEVELS, BAD).astype(np.uint8)


def _largest(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def _scale(values: Array) -> float:
    """The colour scale's end: the largest absolute value, or of many values the 99.5th percentile; 0 for none."""
    sizes = np.abs(values[np.isfinite(values)])
    if sizes.size < 1000:
        return float(sizes.max()) if sizes.size else 0.0
    place = int(0.995 * (sizes.size - 1))
    return float(np.partition(sizes, place)[place]) or float(sizes.max())


def _magnified(difference: Array, scale: float) -> int:
    """
    The power of ten, up to a million, that makes a difference visible that is too faint on the scale.

    >>> _magnified(np.array([0.0, 0.03]), 1.0), _magnified(np.array([0.0, 0.3]), 1.0)
    (10, 1)
    """
    size = _scale(difference) / scale
    return next((10**n for n in range(6) if size * 10**n > 0.1), 10**6) if size > 0 else 1


def _draw(values: Array, scale: float, label: str, what: str) -> Picture | None:
    """Draw the kind of picture that fits the shape; None for a single number or no entries."""
    if values.size < 2:
        return None
    tiles, meaning = _tiles(values)
    if tiles is not None:
        pixels = _sheet(levels(tiles[:MAX_TILES], scale))
        count = f"the first {MAX_TILES} of {len(tiles)}" if len(tiles) > MAX_TILES else f"{len(tiles)}"
        images = "one image" if len(tiles) == 1 else f"{count} images"
        height, width = tiles.shape[1:]
        return _picture("sheet", label, f"{what} as {images} of {height} × {width} pixels{meaning}.", pixels)
    matrix = values.reshape(1, -1) if values.ndim < 2 else values.reshape(-1, values.shape[-1])
    if 1 in matrix.shape:
        pixels = levels(matrix.reshape(1, -1)[:, : 4 * MAX_CELLS], scale)
        return _picture("strip", label, f"{what} as a strip of {pixels.size} cells, one for each entry.", pixels)
    pixels = levels(matrix[:MAX_CELLS, :MAX_CELLS], scale)
    rows, columns = pixels.shape
    part = "" if pixels.size == matrix.size else " (its upper left part)"
    return _picture("heat", label, f"{what}{part} as a grid of {rows} rows and {columns} columns.", pixels)


def _tiles(values: Array) -> tuple[Array | None, str]:
    """The values as images, shape (n, height, width), or None; and what each image stands for."""
    if values.shape == (SIDE, SIDE) or (values.ndim >= 3 and all(2 <= size <= MAX_SIDE for size in values.shape[-2:])):
        return values.reshape(-1, *values.shape[-2:]), ""
    for side in (SIDE, SIDE // 2):  # digits in full and in half resolution
        if values.shape == (side * side,):
            return values.reshape(1, side, side), ""
        if values.ndim == 2 and values.shape[0] == side * side:
            return values.T.reshape(-1, side, side), ", one for each column (hidden unit)"
        if values.ndim == 2 and values.shape[1] == side * side:
            return values.reshape(-1, side, side), ", one for each row"
    return None, ""


def _sheet(tiles: Pixels) -> Pixels:
    """Lay out the tiles in a grid about twice as wide as high, with lines between them."""
    count, height, width = tiles.shape
    columns = min(count, max(1, round((2 * count) ** 0.5)))
    rows = -(-count // columns)
    cells = np.full((rows * columns, height + 1, width + 1), LINE, dtype=np.uint8)
    cells[:count, 1:, 1:] = tiles
    cells[count:, 1:, 1:] = LEVELS
    sheet = cells.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2).reshape(rows * (height + 1), -1)
    return np.pad(sheet, ((0, 1), (0, 1)), constant_values=LINE)


def _picture(kind: Literal["sheet", "heat", "strip"], label: str, alt: str, pixels: Pixels) -> Picture:
    bad = int((pixels == BAD).sum())
    if bad:
        alt += f" {bad:,} {'entry is' if bad == 1 else 'entries are'} not finite."
    uri = _png(pixels, *_diverging())
    height, width = pixels.shape
    if kind != "heat" or (width > FEW_CELLS and height <= 1.5 * width):
        return Picture(kind=kind, label=label, alt=alt, uri=uri, width=width, height=height)
    cell = min(CELL, HIGHEST / height)
    width, height = max(CELL // 2, round(width * cell)), round(height * cell)
    return Picture(kind=kind, label=label, alt=alt, uri=uri, width=width, height=height, has_own_size=True)


@functools.cache
def _diverging() -> tuple[bytes, bytes]:
    """The colours and opacities of the scale, of LINE and of BAD."""
    colours = [NEGATIVE] * LEVELS + [POSITIVE] * (LEVELS + 1) + [NEUTRAL, NOT_FINITE]
    shades = [round(255 * abs(level - LEVELS) / LEVELS) for level in range(LINE)]
    return bytes(channel for colour in colours for channel in colour), bytes([*shades, 70, 255])


@functools.cache
def _density() -> tuple[bytes, bytes]:
    """The colours and opacities of a scatter plot: clear at 0, then darker with the logarithm of the count."""
    return bytes(NEGATIVE) * 16, bytes([0, *(150 + round(105 * step / 14) for step in range(15))])


@functools.cache
def _legend() -> str:
    return _png(np.arange(LINE, dtype=np.uint8).reshape(1, -1), *_diverging())


def _png(pixels: Pixels, colours: bytes, opacities: bytes) -> str:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.putpalette(colours)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=opacities, compress_level=7)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


# --------------------------------------------------------------------------------------------------------- scatter


def _scatter(got: Array, expected: Array) -> Scatter | None:
    """The student's entries (up) against the reference's (across), where both are finite."""
    finite = np.isfinite(got) & np.isfinite(expected)
    if int(finite.sum()) < 8:
        return None
    x, y = expected[finite], got[finite]
    (left, right), (bottom, top) = _ranges(x, y)
    bins = MANY_BINS if x.size > FEW_POINTS else FEW_BINS
    across = np.minimum((x - left) / (right - left) * bins, bins - 1).astype(np.intp)
    down = np.minimum((top - y) / (top - bottom) * bins, bins - 1).astype(np.intp)
    counts = np.bincount(down * bins + across, minlength=bins * bins).reshape(bins, bins)
    shades = 1 + np.floor(14 * np.log1p(np.maximum(counts - 1.0, 0.0)) / max(np.log1p(counts.max() - 1.0), 1e-9))
    pixels = np.where(counts > 0, shades, 0).astype(np.uint8)
    return scatter_axes(_png(pixels, *_density()), (left, right), (bottom, top), points=int(finite.sum()))


def _ranges(x: Array, y: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ends of the axes: the same on both axes, if the points still spread over both."""
    ranges = [(float(values.min()), float(values.max())) for values in (x, y)]
    spans = [high - low for low, high in ranges]
    both = min(low for low, _ in ranges), max(high for _, high in ranges)
    if both[1] - both[0] <= 3 * min(spans):
        ranges = [both, both]
    (left, right), (bottom, top) = (_padded(low, high) for low, high in ranges)
    return (left, right), (bottom, top)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.04 * (high - low)
    # If all values are equal, or nearly so, leave room of their own size on both sides.
    if room <= 1e-12 * max(abs(low), abs(high)):
        room = max(abs(low), abs(high)) or 1.0
    return low - room, high + room


# --------------------------------------------------------------------------------------------------------- caption


def _caption(got: Array, expected: Array, *, close: float, scale: float, single: bool) -> list[str]:
    """Sentences about the pictures, each of which follows from the numbers."""
    if single:
        if got.size == 1:
            return _single(got, expected)
        meaning = "Where the picture is orange, a larger entry raises the loss; where it is blue, it lowers the loss."
        return [meaning, "On this batch every entry agrees with the reference."] if got.size else []
    sentences = _in_words(got, expected, close=close, infinite="nan or infinite (magenta)")
    finite = np.isfinite(got)
    beyond = int((np.abs(got[finite]) > scale).sum())
    if got.shape == expected.shape and got.size > 1 and beyond > 0.02 * got.size:
        sentences.append(f"{_share(beyond, got.size, 'beyond the colour scale')}, which is made for the reference.")
    return sentences


def _in_words(got: Array, expected: Array, *, close: float, infinite: str = "nan or infinite") -> list[str]:
    """How a wrong gradient differs from the reference, in sentences that need no picture."""
    if got.shape != expected.shape:
        return [
            f"Yours has the shape {got.shape}, the reference {expected.shape}, so their entries cannot be compared."
        ]
    if got.size == 1:
        return _single(got, expected)
    bad = int(got.size - np.isfinite(got).sum())
    if bad == got.size:
        return ["None of your entries is a finite number."]
    return [*([f"{_share(bad, got.size, infinite)}."] if bad else []), *_compared(got, expected, close)]


def _single(got: Array, expected: Array) -> list[str]:
    if got.size != 1 or expected.size != 1:
        return []
    return [f"Yours is {number(got.item())}; the reference is {number(expected.item())}."]


def _compared(got: Array, expected: Array, close: float) -> list[str]:
    finite = np.isfinite(got) & np.isfinite(expected)
    with np.errstate(over="ignore", invalid="ignore"):
        differs = finite & ~(np.abs(got - expected) <= close)
    wrong = int(differs.sum())
    if not wrong:
        return ["The others agree with the reference."]
    slope = _slope(got[finite], expected[finite])
    if slope == 0.0:
        return ["All of your entries are zero." if bool(finite.all()) else "The others are zero."]
    if bool(finite.all()) and np.ptp(got) == 0.0:
        return [f"All of your entries are {number(float(got.flat[0]))}."]
    if slope is not None:
        subject = "All of your entries" if bool(finite.all()) else "The others"
        return [f"{subject} are {number(slope)} times those of the reference."]
    return [f"{_share(wrong, differs.size, 'different from the reference')}.", *_where(got, expected, differs)]


def _slope(got: Array, expected: Array) -> float | None:
    """The factor between the two gradients, if there is one factor for all entries, to four digits."""
    unit = float(np.abs(expected).max()) if expected.size else 0.0
    if not unit:
        return None
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        direction = expected / unit
        factor = float((got * direction).sum() / (direction * direction).sum())
        off = float(np.abs(got - factor * direction).max())
        slope = factor / unit
    largest = float(np.abs(got).max())
    return slope if np.isfinite(slope) and off <= 1e-4 * largest else None


def _where(got: Array, expected: Array, differs: npt.NDArray[np.bool_]) -> list[str]:
    """Where the entries differ, if that part of the gradient is easy to name."""
    sentences = []
    wrong = int(differs.sum())
    zeros, wrong_zeros = int((expected == 0).sum()), int((differs & (expected == 0)).sum())
    if zeros and wrong_zeros == wrong:
        sentences.append(
            f"Wherever they differ, the reference is exactly zero ({wrong_zeros:,} of its {zeros:,} zeros)."
        )
    elif zeros and wrong_zeros > 0.5 * zeros:
        sentences.append(f"Where the reference is exactly zero ({zeros:,} entries), {wrong_zeros:,} of yours are not.")
    elif zeros > 1 and not wrong_zeros:
        sentences.append(f"Where the reference is exactly zero ({zeros:,} entries), the two agree.")
    if int((differs & (got == 0)).sum()) == wrong:
        sentences.append("Wherever they differ, yours is exactly zero.")
    if differs.ndim == 2 and min(differs.shape) > 1:
        for axis, name in ((1, "rows"), (0, "columns")):
            touched = np.flatnonzero(differs.any(axis=axis))
            if touched.size < 0.5 * differs.shape[1 - axis]:
                which = f" ({', '.join(map(str, touched))})" if touched.size <= 4 else ""
                sentences.append(
                    f"The differences lie in {touched.size} of the {differs.shape[1 - axis]} {name}{which}."
                )
    return sentences


def _share(part: int, whole: int, quality: str) -> str:
    """
    How many of a student's entries have a quality.

    >>> _share(3, 3, "infinite"), _share(1, 800, "infinite")
    ('All 3 of your entries are infinite', '1 of your 800 entries (0.12 %) is infinite')
    """
    if part == whole:
        return f"All {whole:,} of your entries are {quality}"
    verb = "is" if part == 1 else "are"
    return f"{part:,} of your {whole:,} entries ({_percent(100 * part / whole)}) {verb} {quality}"


def _percent(value: float) -> str:
    if value < 1:
        return f"{value:.2g} %"
    return f"{value:.0f} %" if value <= 99 else "more than 99 %"
