"""
Pictures of gradients: arrays in, small PNG data URIs and careful sentences out.

One colour scale serves all pictures of a gradient: zero is transparent, negative entries grow more blue and positive
ones more orange up to the scale's end, and what is not a finite number is magenta. The two hues differ to every kind of
colour blindness, and transparency lets one file sit on a light page and on a dark one. Captions state what the numbers
show and nothing more; naming a mistake is not theirs to do.
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
"""Shades on either side of zero, whose pixel value is LEVELS; LINE and BAD follow the shades."""
LINE = 2 * LEVELS + 1
BAD = LINE + 1
NEGATIVE, POSITIVE, NEUTRAL, NOT_FINITE = (37, 120, 214), (222, 92, 12), (125, 130, 140), (200, 30, 170)

SIDE, MAX_SIDE = 28, 64
MAX_TILES = 64
MAX_CELLS = 128
FEW_POINTS, FEW_BINS, MANY_BINS = 400, 42, 84


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One PNG: `kind` is how large to show it, `label` whose it is, `alt` what it shows."""

    kind: Literal["sheet", "heat", "strip"]
    label: str
    alt: str
    uri: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """
    All there is to see of one target's gradient, and beside it the reference unless `single`: then both agree.

    `scale` is the text at the scale's end, None without pictures.
    """

    target: str
    single: bool
    caption: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    scatter: Scatter | None = None
    scale: str | None = None
    legend: str = ""


def picture_view(view: BatchView, *, right: bool, tolerance: float | None = None) -> Gallery:
    """
    Draw one target's gradient.

    Args:
        view: The gradient and its reference, of any shapes.
        right: Whether it was found right. Then, and where it only agrees with the reference here, one picture is
            enough instead of theirs, the reference, the difference and a scatter.
        tolerance: Entries this far apart count as equal; without it, a hundred-thousandth of the largest entry.
    """
    got, expected = np.asarray(view.got, dtype=np.float64), np.asarray(view.expected, dtype=np.float64)
    same = got.shape == expected.shape
    largest = _largest(expected)
    close = tolerance if tolerance is not None and np.isfinite(tolerance) else 1e-5 * largest
    scale = _scale(expected) or _scale(got) or 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        difference = got - expected if same else None
    single = right or (difference is not None and bool((np.abs(difference) <= close).all()))
    pictures = [_draw(got, scale, "yours", f"Your gradient of {view.target}")]
    if not single:
        pictures.append(_draw(expected, scale, "reference", f"The reference gradient of {view.target}"))
        if difference is not None:
            times = _magnified(difference, scale)
            label = "difference" if times == 1 else f"difference × {times:,}"
            what = f"Yours minus the reference{'' if times == 1 else f', times {times:,}'}, for {view.target}"
            pictures.append(_draw(times * difference, scale, label, what))
    drawn = tuple(picture for picture in pictures if picture is not None)
    return Gallery(
        target=view.target,
        single=single,
        caption=tuple(_caption(got, expected, close=close, scale=scale, single=single)),
        pictures=drawn,
        scatter=_scatter(got, expected) if same and not single else None,
        scale=number(scale, digits=2) if drawn else None,
        legend=_legend() if drawn else "",
    )


# ------------------------------------------------------------------------------------------------ values to pixels


def levels(values: Array, scale: float) -> Pixels:
    """
    The pixel of each value: LEVELS at zero, evenly up and down to `scale`, clipped beyond, BAD where not finite.

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
    """Where the scale ends: the largest entry, or of many entries the one that only 5 in 1,000 exceed. 0: none."""
    sizes = np.abs(values[np.isfinite(values)])
    if sizes.size < 1000:
        return float(sizes.max()) if sizes.size else 0.0
    place = int(0.995 * (sizes.size - 1))
    return float(np.partition(sizes, place)[place]) or float(sizes.max())


def _magnified(difference: Array, scale: float) -> int:
    """
    The power of ten, up to a million, that makes a difference visible which would be too faint on the scale.

    >>> _magnified(np.array([0.0, 0.03]), 1.0), _magnified(np.array([0.0, 0.3]), 1.0)
    (10, 1)
    """
    size = _scale(difference) / scale
    return next((10**n for n in range(6) if size * 10**n > 0.1), 10**6) if size > 0 else 1


def _draw(values: Array, scale: float, label: str, what: str) -> Picture | None:
    """Choose the kind of picture that fits a shape; None for a single number or nothing at all."""
    if values.size < 2:
        return None
    tiles, each = _tiles(values)
    if tiles is not None:
        pixels = _sheet(levels(tiles[:MAX_TILES], scale))
        shown = f"the first {MAX_TILES} of {len(tiles)}" if len(tiles) > MAX_TILES else f"{len(tiles)}"
        some = "one image" if len(tiles) == 1 else f"{shown} images"
        height, width = tiles.shape[1:]
        return _picture("sheet", label, f"{what} as {some} of {height} × {width} pixels{each}.", pixels)
    matrix = values.reshape(1, -1) if values.ndim < 2 else values.reshape(-1, values.shape[-1])
    if 1 in matrix.shape:
        pixels = levels(matrix.reshape(1, -1)[:, : 4 * MAX_CELLS], scale)
        return _picture("strip", label, f"{what} as a strip of {pixels.size} cells, one for each entry.", pixels)
    pixels = levels(matrix[:MAX_CELLS, :MAX_CELLS], scale)
    rows, columns = pixels.shape
    part = "" if pixels.size == matrix.size else " (its upper left part)"
    return _picture("heat", label, f"{what}{part} as a grid of {rows} rows and {columns} columns.", pixels)


def _tiles(values: Array) -> tuple[Array | None, str]:
    """Images, shape (n, height, width), if the shape has any; and what each is for."""
    if values.shape == (SIDE, SIDE) or (values.ndim >= 3 and all(2 <= size <= MAX_SIDE for size in values.shape[-2:])):
        return values.reshape(-1, *values.shape[-2:]), ""
    for side in (SIDE, SIDE // 2):  # whole digits, and halved ones
        if values.shape == (side * side,):
            return values.reshape(1, side, side), ""
        if values.ndim == 2 and values.shape[0] == side * side:
            return values.T.reshape(-1, side, side), ", one for each column (hidden unit)"
        if values.ndim == 2 and values.shape[1] == side * side:
            return values.reshape(-1, side, side), ", one for each row"
    return None, ""


def _sheet(tiles: Pixels) -> Pixels:
    """Lay tiles out in a grid about twice as wide as high, with lines between them."""
    count, height, width = tiles.shape
    columns = min(count, max(1, round((2 * count) ** 0.5)))
    rows = -(-count // columns)
    cells = np.full((rows * columns, height + 1, width + 1), LINE, dtype=np.uint8)
    cells[:count, 1:, 1:] = tiles
    cells[count:, 1:, 1:] = LEVELS
    laid = cells.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2).reshape(rows * (height + 1), -1)
    return np.pad(laid, ((0, 1), (0, 1)), constant_values=LINE)


def _picture(kind: Literal["sheet", "heat", "strip"], label: str, alt: str, pixels: Pixels) -> Picture:
    bad = int((pixels == BAD).sum())
    alt += f" {bad:,} of them are not finite." if bad else ""
    uri = _png(pixels, *_diverging())
    return Picture(kind=kind, label=label, alt=alt, uri=uri, width=pixels.shape[1], height=pixels.shape[0])


@functools.cache
def _diverging() -> tuple[bytes, bytes]:
    """Colours and opacities of the scale, LINE and BAD."""
    colours = [NEGATIVE] * LEVELS + [POSITIVE] * (LEVELS + 1) + [NEUTRAL, NOT_FINITE]
    shades = [round(255 * abs(level - LEVELS) / LEVELS) for level in range(LINE)]
    return bytes(channel for colour in colours for channel in colour), bytes([*shades, 70, 255])


@functools.cache
def _density() -> tuple[bytes, bytes]:
    """Colours and opacities of a scatter: nothing at 0, then darker with the logarithm of the count."""
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
    """Their entries (up) against the reference's (across), where both are finite."""
    finite = np.isfinite(got) & np.isfinite(expected)
    if int(finite.sum()) < 8:
        return None
    x, y = expected[finite], got[finite]
    (left, right), (bottom, top) = _ranges(x, y)
    bins = MANY_BINS if x.size > FEW_POINTS else FEW_BINS
    across = np.minimum((x - left) / (right - left) * bins, bins - 1).astype(np.intp)
    down = np.minimum((top - y) / (top - bottom) * bins, bins - 1).astype(np.intp)
    counts = np.bincount(down * bins + across, minlength=bins * bins).reshape(bins, bins)
    shades = 1 + np.floor(14 * np.log1p(counts - 1.0 * (counts > 0)) / max(np.log1p(counts.max() - 1.0), 1e-9))
    pixels = np.where(counts > 0, shades, 0).astype(np.uint8)
    return scatter_axes(_png(pixels, *_density()), (left, right), (bottom, top), points=int(finite.sum()))


def _ranges(x: Array, y: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    """The axes' ends: the same on both where that leaves both readable."""
    ranges = [(float(values.min()), float(values.max())) for values in (x, y)]
    spans = [high - low for low, high in ranges]
    both = min(low for low, _ in ranges), max(high for _, high in ranges)
    if both[1] - both[0] <= 3 * min(spans):
        ranges = [both, both]
    (left, right), (bottom, top) = (_padded(low, high) for low, high in ranges)
    return (left, right), (bottom, top)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.04 * (high - low)
    # All values alike, or so close together that they cannot be told apart: one unit of their own size around them.
    if room <= 1e-12 * max(abs(low), abs(high)):
        room = max(abs(low), abs(high)) or 1.0
    return low - room, high + room


# --------------------------------------------------------------------------------------------------------- caption


def _caption(got: Array, expected: Array, *, close: float, scale: float, single: bool) -> list[str]:
    """What is to be seen, in sentences that the numbers prove."""
    if single:
        if got.size == 1:
            return _single(got, expected)
        meaning = "How the loss answers when an entry grows: orange, it rises; blue, it falls."
        return [meaning, "On this batch every entry agrees with the reference."] if got.size else []
    if got.shape != expected.shape:
        return [f"Yours has the shape {got.shape}, the reference {expected.shape}: entries cannot be compared."]
    if got.size == 1:
        return _single(got, expected)
    finite = np.isfinite(got)
    bad = int(got.size - finite.sum())
    if bad == got.size:
        return ["None of your entries is a finite number."]
    said = [f"{_share(bad, got.size)} of your entries are not finite: nan or infinite, magenta here."] if bad else []
    said += _compared(got, expected, close)
    beyond = int((np.abs(got[finite]) > scale).sum())
    if beyond > 0.02 * got.size:
        said.append(f"{_share(beyond, got.size)} of yours are beyond the colour scale, which is the reference’s.")
    return said


def _single(got: Array, expected: Array) -> list[str]:
    if got.size != 1 or expected.size != 1:
        return []
    return [f"One number: yours is {number(got.item())}, the reference {number(expected.item())}."]


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
        all_of = "All of your entries" if bool(finite.all()) else "The others"
        return [f"{all_of} lie on a line of slope {number(slope)} through zero; right ones have slope 1."]
    said = [f"{_share(wrong, differs.size)} of the entries differ."]
    return said + _where(got, expected, differs)


def _slope(got: Array, expected: Array) -> float | None:
    """The one factor between the two, if there is one and it shows to four digits."""
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
    """On which nameable part the entries differ, where there is one."""
    said = []
    zero = expected == 0
    zeros, astray = int(zero.sum()), int((zero & differs).sum())
    if zeros and astray == int(differs.sum()):
        said.append(
            f"They are all where the reference is exactly zero and yours is not ({astray:,} of {zeros:,} such "
            "entries). Everywhere else yours agree."
        )
    elif zeros and astray > 0.5 * zeros:
        said.append(f"Where the reference is exactly zero ({zeros:,} entries), yours is not in {astray:,}.")
    elif zeros > 1 and not astray:
        said.append(f"None of them is where the reference is exactly zero ({zeros:,} entries).")
    mine = (np.abs(got) == 0) & differs
    if int(mine.sum()) == int(differs.sum()):
        said.append("Wherever they differ, yours is exactly zero.")
    if differs.ndim == 2 and min(differs.shape) > 1:
        for axis, name in ((1, "rows"), (0, "columns")):
            touched = np.flatnonzero(differs.any(axis=axis))
            if touched.size < 0.5 * differs.shape[1 - axis]:
                which = f" ({', '.join(map(str, touched))})" if touched.size <= 4 else ""
                said.append(f"They lie in {touched.size} of the {differs.shape[1 - axis]} {name}{which}.")
    return said


def _share(part: int, whole: int) -> str:
    if part == whole:
        return f"All {whole:,}"
    percent = 100 * part / whole
    shown = f"{percent:.0f}" if 1 <= percent <= 99 else f"{percent:.2g}" if percent < 1 else "more than 99"
    return f"{part:,} of {whole:,} ({shown} %)"
