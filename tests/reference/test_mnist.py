"""MNIST is the published one; files that are not are refused."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from grader import load_mnist
from grader.errors import DataError
from grader.reference import mnist


def test_the_test_split_comes_with_the_package() -> None:
    """It has 10,000 images in [0, 1], with labels in the published order."""
    images, labels = load_mnist()

    assert images.shape == (10_000, 784)
    assert images.dtype is torch.float32
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)
    assert labels.dtype is torch.int64
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_every_call_gives_new_tensors() -> None:
    """If a student writes into the images, nobody else's images change."""
    first, _ = load_mnist()
    first.zero_()

    assert float(load_mnist()[0].sum()) > 0


def test_prepared_tensors_are_returned_only_once() -> None:
    """They have the same numbers, and a later call does not return tensors that somebody has written into."""
    fresh, _ = load_mnist()
    mnist.prepare_mnist()
    first, labels = load_mnist()

    assert torch.equal(first, fresh)
    assert labels.dtype is torch.int64
    first.zero_()
    assert torch.equal(load_mnist()[0], fresh)


def test_the_files_have_the_published_checksums() -> None:
    """`grader doctor` checks this, too."""
    assert all(mnist.checksums().values())


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One changed bit is enough. The message names the file."""
    for name in mnist.checksums():
        content = bytearray((mnist.MNIST_DIRECTORY / name).read_bytes())
        content[-1] ^= 1
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(mnist, "MNIST_DIRECTORY", tmp_path)
    mnist.forget_mnist()

    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is not the published one"):
        load_mnist()
    assert not any(mnist.checksums().values())
    mnist.forget_mnist()


def test_a_missing_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist.prepare_mnist()
    monkeypatch.setattr(mnist, "MNIST_DIRECTORY", tmp_path)
    mnist.forget_mnist()

    with pytest.raises(DataError, match="cannot be read"):
        load_mnist()
    mnist.forget_mnist()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", folder
    server.shutdown()
    server.server_close()


def test_the_training_split_is_downloaded_once_and_checked(
    tmp_path: Path, mirror: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes from the first mirror whose file has the right checksum. The next call needs no network."""
    url, folder = mirror
    images = gzip.compress(bytes([0, 0, 8, 3]) + (2).to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(2 * 784))
    labels = gzip.compress(bytes([0, 0, 8, 1]) + (2).to_bytes(4, "big") + bytes([3, 4]))
    (folder / "bad").mkdir()
    (folder / "good").mkdir()
    for name, content in {"train-images.gz": images, "train-labels.gz": labels}.items():
        (folder / "good" / name).write_bytes(content)
        (folder / "bad" / name).write_bytes(content + b"tampered")
    split = mnist.SPLITS["train"]._replace(
        images="train-images.gz",
        images_sha256=hashlib.sha256(images).hexdigest(),
        labels="train-labels.gz",
        labels_sha256=hashlib.sha256(labels).hexdigest(),
        rows=2,
    )
    monkeypatch.setitem(mnist.SPLITS, "train", split)
    monkeypatch.setattr(mnist, "MIRRORS", (f"{url}missing/", f"{url}bad/", f"{url}good/"))

    _, got = load_mnist("train", directory=tmp_path / "cache")
    mnist.forget_mnist()
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    again, _ = load_mnist("train", directory=tmp_path / "cache")

    assert got.tolist() == [3, 4]
    assert again.shape == (2, 784)
    mnist.forget_mnist()


def test_if_no_mirror_works_the_error_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))

    with pytest.raises(DataError, match=r"could not be fetched from any mirror .*127\.0\.0\.1:9"):
        load_mnist("train", directory=tmp_path)
