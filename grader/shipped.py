"""
Knows which files of the package contain answers. It finds them through the package itself, not through this module.

Three things depend on it: keeping answers from students' processes, packing the grader for another machine, and the
hash of the grader's own code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "ANSWER_FOLDERS",
    "DISTRIBUTION",
    "ORDER",
    "PACKAGE",
    "answers",
    "constraints",
    "own_files",
    "samples",
    "solutions",
]

PACKAGE = Path(sys.modules[__package__].__path__[0])
"""The folder of the installed package."""

DISTRIBUTION = "backprop-grader"
"""The name that the grader is installed under. The distribution that a package index calls `grader` is not ours."""

ANSWER_FOLDERS = ("bundled", "samples")
"""The folders of the package that contain answers: the source notebooks of a wheel, and the sample submissions."""

ORDER = (
    "two_layer_mse",
    "softmax_cross_entropy",
    "deep_mlp",
    "batchnorm",
    "layernorm",
    "convnet",
    "attention",
    "embedding_rnn",
)
"""The ids of the source notebooks that came with the grader, in the order in which a course has them."""

_REPOSITORY_ANSWERS = ("solutions", "tests/corpus")
_REPOSITORY_FILE = "pyproject.toml"


def answers() -> tuple[Path, ...]:
    """
    Every existing folder with answers that came with the grader. A student's process may not see any of them.

    If the package is used from its repository, they include the repository's source notebooks and its test corpus.
    """
    folders = [PACKAGE / name for name in ANSWER_FOLDERS]
    if (PACKAGE.parent / _REPOSITORY_FILE).is_file():
        folders += [PACKAGE.parent / name for name in _REPOSITORY_ANSWERS]
    return tuple(folder for folder in folders if folder.is_dir())


def solutions() -> Path:
    """The folder of the source notebooks that came with the grader: in the package, or in its repository."""
    return _in_package_or_beside("solutions")


def samples() -> Path:
    """The folder of the sample submissions. Not every installation has it."""
    return PACKAGE / "samples"


def constraints() -> Path:
    """The file with the versions of all packages that the grader is tested with."""
    return _in_package_or_beside("constraints.txt")


def own_files() -> Iterator[Path]:
    """The files of the package in the order of their paths, without answers and compiled files."""
    for path in sorted(PACKAGE.rglob("*")):
        parts = path.relative_to(PACKAGE).parts
        if path.is_file() and parts[0] not in ANSWER_FOLDERS and "__pycache__" not in parts:
            yield path


def _in_package_or_beside(name: str) -> Path:
    bundled = PACKAGE / "bundled" / name
    return bundled if bundled.exists() else PACKAGE.parent / name
