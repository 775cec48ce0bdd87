"""
Loads MNIST: the test split comes with the package, and the training split is downloaded when it is needed.

The images are Yann LeCun, Corinna Cortes and Christopher Burges's "MNIST database of handwritten digits"
(http://yann.lecun.com/exdb/mnist/), derived from NIST Special Databases 1 and 3 and made available under the terms of
the Creative Commons Attribution-Share Alike 3.0 licence. The files are the published ones, byte for byte. Their format,
IDX, is described on the same page.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from grader.errors import DataError

if TYPE_CHECKING:
    import torch

__all__ = ["MNIST_DIRECTORY", "checksums", "forget_mnist", "load_mnist", "prepare_mnist", "read_split"]

MNIST_DIRECTORY = Path(__file__).parent / "data"

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
"""Where the published files can be downloaded. They are tried in this order, each with the same checksums."""


class _Split(NamedTuple):
    images: str
    images_sha256: str
    labels: str
    labels_sha256: str
    rows: int


SPLITS = {
    "test": _Split(
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        10_000,
    ),
    "train": _Split(
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        60_000,
    ),
}


def load_mnist(
    split: Literal["test", "train"] = "test", *, directory: str | Path | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Load MNIST as new tensors.

    Args:
        split: "test" reads the 10,000 images that come with the package and needs no network. "train" reads the 60,000
            training images from `directory`, and downloads them (11 MB) if they are not there yet.
        directory: Where the training split is kept. The default is the operating system's cache folder.

    Returns:
        tuple: Images, float32 in [0, 1], shape (rows, 784); and labels, int64, shape (rows,).

    Raises:
        DataError: A file is missing, cannot be downloaded, or is not the published one.

    >>> images, labels = load_mnist()
    >>> images.shape, labels[:4].tolist()
    (torch.Size([10000, 784]), [7, 2, 1, 0])
    """
    import torch

    prepared = _prepared.pop() if split == "test" and _prepared else None
    images, labels = prepared or _as_numbers(
        *read_split(split, directory=None if directory is None else Path(directory))
    )
    return torch.from_numpy(images), torch.from_numpy(labels)


_prepared: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []


def prepare_mnist() -> None:
    """Make the first `load_mnist()` free, in this process and in every process that is forked from it."""
    _prepared[:] = [_as_numbers(*read_split("test"))]


def forget_mnist() -> None:
    """Drop everything that was read or prepared, so that the next call reads the files again."""
    _read_split.cache_clear()
    _prepared.clear()


def _as_numbers(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    return np.divide(images, 255, dtype=np.float32), labels.astype(np.int64)


def read_split(split: str, *, directory: Path | None = None) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """
    Read and check a split: images (rows, 784) and labels (rows,), uint8. The result is cached.

    Raises:
        DataError: As for `load_mnist`.
    """
    return _read_split(split, directory)


@functools.lru_cache(maxsize=2)
def _read_split(split: str, directory: Path | None) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    files = SPLITS[split]
    if split == "test":
        images_path, labels_path = MNIST_DIRECTORY / files.images, MNIST_DIRECTORY / files.labels
    else:
        images_path, labels_path = _fetch(files, directory)
    images = _read_idx(images_path, files.images_sha256).reshape(files.rows, 784)
    labels = _read_idx(labels_path, files.labels_sha256)
    return images, labels


def checksums() -> dict[str, bool]:
    """For each MNIST file of the package, whether it is the published one. A missing file is not."""
    test = SPLITS["test"]
    known = {test.images: test.images_sha256, test.labels: test.labels_sha256}
    return {
        name: (MNIST_DIRECTORY / name).is_file()
        and hashlib.sha256((MNIST_DIRECTORY / name).read_bytes()).hexdigest() == digest
        for name, digest in known.items()
    }


def _read_idx(path: Path, sha256: str) -> npt.NDArray[np.uint8]:
    try:
        compressed = path.read_bytes()
    except OSError as error:
        raise DataError(f"The MNIST file {path} cannot be read ({error.strerror}).", "Install grader again.") from error
    if hashlib.sha256(compressed).hexdigest() != sha256:
        raise DataError(
            f"The MNIST file {path} is not the published one: its checksum differs.",
            "Delete it, and install grader again or let it fetch the file again.",
        )
    content = gzip.decompress(compressed)
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    # A copy: the result of frombuffer is read-only, and torch warns about that.
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _fetch(files: _Split, directory: Path | None) -> tuple[Path, Path]:
    import pooch

    folder = directory or Path(pooch.os_cache("grader"))
    return (
        _fetch_one(files.images, files.images_sha256, folder),
        _fetch_one(files.labels, files.labels_sha256, folder),
    )


def _fetch_one(name: str, sha256: str, folder: Path) -> Path:
    import pooch

    reasons = []
    for mirror in MIRRORS:
        try:
            return Path(pooch.retrieve(mirror + name, known_hash=f"sha256:{sha256}", fname=name, path=folder))
        except Exception as error:  # pooch passes on whatever its downloader raises
            reasons.append(f"{mirror}: {type(error).__name__}")
    raise DataError(
        f"{name} could not be fetched from any mirror ({'; '.join(reasons)}).",
        f"Put the published file into {folder} yourself, or use the test split, which needs no network.",
    )
