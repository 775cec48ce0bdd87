"""Pictures and captions show what the numbers are."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from grader.model import BatchView
from grader.reports.pictures import BAD, LEVELS, LINE, Gallery, levels, picture_view

finite = st.floats(-1e30, 1e30, width=32)
anything = hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))


def view(got: object, expected: object, *, right: bool = False, tolerance: float | None = None) -> Gallery:
    gradient, reference = np.asarray(got, dtype=np.float32), np.asarray(expected, dtype=np.float32)
    return picture_view(BatchView(part="dw1", got=gradient, expected=reference), right=right, tolerance=tolerance)


def image(uri: str) -> Image.Image:
    header, _, content = uri.partition(",")
    assert header == "data:image/png;base64"
    opened = Image.open(io.BytesIO(base64.b64decode(content)))
    opened.load()
    return opened


def pixels(uri: str) -> np.ndarray:
    return np.asarray(image(uri))


# ------------------------------------------------------------------------------------------------- values to pixels


@given(values=hnp.arrays(np.float64, 7, elements=st.floats(-1e300, 1e300)), scale=st.floats(1e-30, 1e30))
def test_levels_are_symmetric_and_in_order(values: np.ndarray, scale: float) -> None:
    shades = levels(values, scale).astype(int)

    assert (shades + levels(-values, scale) == 2 * LEVELS).all()
    assert (np.diff(shades[np.argsort(values)]) >= 0).all()
    assert (shades[values == 0] == LEVELS).all()
    assert (shades < LINE).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_have_their_own_pixel(value: float) -> None:
    assert levels(np.array([value, 1.0]), 1.0).tolist() == [BAD, 2 * LEVELS]


def test_signs_have_different_colours_and_zero_is_transparent() -> None:
    gallery = view([[-1.0, 0.0], [1.0, np.nan]], np.ones((2, 2)))

    blue, clear, orange, bad = np.asarray(image(gallery.pictures[0].uri).convert("RGBA")).reshape(4, 4).tolist()

    assert blue[3] == orange[3] == bad[3] == 255
    assert clear[3] == 0
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    assert bad[:3] not in (blue[:3], orange[:3])
    assert "1 entry is not finite" in gallery.pictures[0].alt


def test_all_pictures_share_a_scale() -> None:
    """A gradient that is twice as large as the reference looks larger, too."""
    gallery = view([[1.0, 2.0], [0.0, 1.0]], [[0.5, 1.0], [0.0, 0.5]])
    yours, reference, difference = (pixels(picture.uri) for picture in gallery.pictures)

    assert (reference == difference).all()
    assert yours[0, 0] == reference[0, 1] == 2 * LEVELS
    assert gallery.scale == "1"


# ----------------------------------------------------------------------------------------------------------- shapes


def test_pixels_of_weights_become_tiles() -> None:
    gradient = np.zeros((784, 50), dtype=np.float32)
    gradient[30, 1] = 1.0

    gallery = view(gradient, gradient * 2)

    assert [picture.kind for picture in gallery.pictures] == ["sheet"] * 3
    sheet = pixels(gallery.pictures[0].uri)
    assert sheet.shape == (5 * 29 + 1, 10 * 29 + 1)
    assert np.argwhere((sheet != LEVELS) & (sheet != LINE)).tolist() == [[1 + 30 // 28, 1 + 29 + 30 % 28]]
    assert "50 images of 28 × 28 pixels, one for each column" in gallery.pictures[0].alt


def test_a_transposed_gradient_shows_the_same_images() -> None:
    gradient = np.random.RandomState(0).randn(784, 10)

    gallery = view(gradient.T, gradient)

    assert len(gallery.pictures) == 2
    assert (pixels(gallery.pictures[0].uri) == pixels(gallery.pictures[1].uri)).all()
    assert gallery.scatter is None
    assert gallery.caption == (
        "Yours has the shape (10, 784), the reference (784, 10), so their entries cannot be compared.",
    )


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((64, 50), "heat"),
        ((64, 1), "strip"),
        ((1, 50), "strip"),
        ((50,), "strip"),
        ((2, 3, 4), "sheet"),
        ((4, 1, 3, 3), "sheet"),
        ((2, 3, 80), "heat"),
        ((3, 2, 28, 28), "sheet"),
        ((784,), "sheet"),
        ((196, 32), "sheet"),
        ((16, 784), "sheet"),
        ((784, 300), "sheet"),
        ((3000, 2000), "heat"),
    ],
)
def test_each_shape_has_its_picture(shape: tuple[int, ...], kind: str) -> None:
    gallery = view(np.ones(shape), np.zeros(shape))

    assert {picture.kind for picture in gallery.pictures} == {kind}
    assert gallery.caption == ("All of your entries are 1.",)
    assert all(picture.width * picture.height < 70_000 for picture in gallery.pictures)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_number_is_in_the_caption(shape: tuple[int, ...]) -> None:
    gallery = view(np.full(shape, 2.0), np.full(shape, -1.5))

    assert not gallery.pictures
    assert gallery.scale is None
    assert gallery.caption == ("Yours is 2; the reference is −1.5.",)


@given(got=anything, expected=anything, right=st.booleans())
def test_no_array_makes_it_raise(got: np.ndarray, expected: np.ndarray, right: bool) -> None:
    view(got, expected, right=right)
    view(got, got[::-1] if got.ndim else got, right=right)


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e30, 3e38])
def test_very_small_and_very_large_values_are_drawn(size: float) -> None:
    values = np.linspace(-1, 1, 60).reshape(6, 10) * size

    gallery = view(values[::-1], values)

    assert len(gallery.pictures) == 3
    assert gallery.scatter is not None
    assert "nan" not in " ".join(gallery.caption)


def test_a_nan_that_signals_is_drawn() -> None:
    """Its bytes come from the student's process. Where it is converted, the processor reports it."""
    got = np.full((20, 30), 0x7FA00000, dtype=np.uint32).view(np.float32)

    assert picture_view(BatchView(part="dw", got=got, expected=np.ones((20, 30))), right=False).pictures


def test_an_empty_gradient_has_no_picture() -> None:
    gallery = view(np.zeros((0, 5)), np.zeros((0, 5)))

    assert not gallery.pictures
    assert gallery.caption == ()


# ---------------------------------------------------------------------------------------------------------- caption

REFERENCE = np.random.RandomState(0).randn(40, 20) * (np.random.RandomState(1).rand(40, 20) > 0.5)
ZEROS = int((REFERENCE == 0).sum())


def caption(got: np.ndarray, **options: float) -> str:
    return " ".join(view(got, REFERENCE, **options).caption)


@pytest.mark.parametrize(("factor", "shown"), [(64.0, "64"), (-1.0, "−1"), (0.5, "0.5")])
def test_the_caption_names_a_constant_factor(factor: float, shown: str) -> None:
    assert caption(factor * REFERENCE).startswith(f"All of your entries are {shown} times those of the reference.")


def test_the_caption_names_entries_that_should_be_zero() -> None:
    got = np.where(REFERENCE == 0, 0.25, REFERENCE)

    assert f"Wherever they differ, the reference is exactly zero ({ZEROS:,} of its {ZEROS:,} zeros)." in caption(got)


def test_the_caption_names_zeros_that_should_not_be_zero() -> None:
    got = np.where(REFERENCE > 0, 0.0, REFERENCE)

    assert "Wherever they differ, yours is exactly zero." in caption(got)
    assert caption(0 * REFERENCE) == "All of your entries are zero."


def test_the_caption_names_rows_and_columns() -> None:
    row, column = REFERENCE.copy(), REFERENCE.copy()
    row[7] += 1
    column[:, [2, 5]] += 1

    assert "The differences lie in 1 of the 40 rows (7)." in caption(row)
    assert "The differences lie in 2 of the 20 columns (2, 5)." in caption(column)


def test_the_caption_counts_entries_that_are_not_finite() -> None:
    got = REFERENCE.copy()
    got[0, :3] = np.nan
    got[1, 1] = np.inf

    assert caption(got).startswith("4 of your 800 entries (0.5 %) are nan or infinite (magenta).")
    assert "The others agree with the reference." in caption(got)
    assert caption(got * np.nan) == "None of your entries is a finite number."


def test_a_gradient_that_agrees_on_this_batch_has_one_picture() -> None:
    """A function may be right on the public batch and wrong on hidden ones."""
    gallery = view(REFERENCE, REFERENCE)

    assert gallery.single
    assert len(gallery.pictures) == 1
    assert gallery.scatter is None
    assert gallery.caption[-1] == "On this batch every entry agrees with the reference."


def test_the_tolerance_decides_which_entries_differ() -> None:
    assert "differ" in caption(REFERENCE + 1e-3 * (REFERENCE > 0))
    assert view(REFERENCE + 1e-3, REFERENCE, tolerance=1e-2).single


# ---------------------------------------------------------------------------------------------------------- scatter


def test_the_scatter_plot_puts_points_in_the_right_places() -> None:
    """Entries that are equal lie on the dashed line, from the lower left to the upper right corner."""
    values = np.linspace(-1, 1, 500)
    got = values.copy()
    got[0] = 1.0

    scatter = view(got, values).scatter

    assert scatter is not None
    raster = pixels(scatter.uri)
    side = len(raster)
    rows, columns = np.nonzero(raster)
    off = rows + columns != side - 1
    assert off.sum() <= 1 + side // 20
    assert raster[: side // 8, : side // 8].any(), "the one that differs, upper left"
    x1, y1, x2, y2 = scatter.line or (0, 0, 0, 0)
    assert (x1, y2) == (0, 0)
    assert (y1, x2) == (scatter.size, scatter.size)


def test_a_scatter_plot_needs_enough_finite_points() -> None:
    assert view(np.ones(4), np.zeros(4)).scatter is None
    assert view(np.full(20, np.nan), np.zeros(20)).scatter is None


def test_words_need_no_picture() -> None:
    """They stand in text, and say nothing of colours; of what agrees they say nothing."""
    got = 50 * REFERENCE[:, ::-1]
    got[0, :3] = np.nan

    gallery = view(got, REFERENCE)

    assert "colour" in " ".join(gallery.caption)
    assert "magenta" in " ".join(gallery.caption)
    assert "different from the reference" in " ".join(gallery.words)
    assert not [word for word in ("colour", "magenta", "picture", "orange") if word in " ".join(gallery.words)]
    assert view(REFERENCE, REFERENCE).words == ()
