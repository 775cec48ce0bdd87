"""
Builds the zip that an instructor uploads to Gradescope: this grader, one assignment, and how to run them.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from grader import shipped
from grader.assignment.find import find_assignment
from grader.assignment.load import load_assignment
from grader.assignment.source import read_source
from grader.errors import GraderFault
from grader.exports.gradescope import render_failure
from grader.reference.cases import build_cases

__all__ = ["build_zip"]

SCRIPTS = Path(__file__).parent / "scripts"
EPOCH = (1980, 1, 1, 0, 0, 0)
_FOR_GRADING = re.compile(r"""\s*;\s*extra == ["']grading["']$""")
KILLED = "The autograder did not finish: it ran out of time or memory, or could not start."


def build_zip(assignment_id: str, directory: Path, options: dict[str, Any], *, torch_index: str | None = None) -> bytes:
    """
    Build the zip; the same input gives the same bytes.

    Args:
        directory: The folder of the source notebook.
        options: `hidden_seed`, or None for the seed in the source notebook; and `level`, the sandbox that is required.
        torch_index: The address of PyTorch's index of CPU builds.

    Returns:
        bytes: The content of the zip.

    Raises:
        SourceError, SolutionError: The source notebook cannot be used for grading.
    """
    source = find_assignment(assignment_id, directory)
    build_cases(load_assignment(source))  # raises if the solution disagrees with autograd
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("run_autograder", "setup.sh"):
            _add(archive, name, (SCRIPTS / name).read_bytes(), mode=0o755)
        _add(archive, "constraints.txt", shipped.constraints().read_bytes())
        _add(archive, "failure.json", render_failure(KILLED).encode())
        _add(archive, "requirements.txt", "".join(f"{line}\n" for line in _requirements()).encode())
        _add(archive, "options.json", json.dumps({"assignment": assignment_id, **options}, indent=1).encode())
        _add(archive, f"solutions/{source.name}", source.read_bytes(), mode=0o600)
        for name, data in read_source(source).files.items():
            _add(archive, f"solutions/{name}", data)
        if torch_index:
            _add(archive, "torch-index.txt", f"{torch_index}\n".encode())
        for path in shipped.own_files():
            _add(archive, f"lib/grader/{path.relative_to(shipped.PACKAGE).as_posix()}", path.read_bytes())
    return content.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = mode << 16
    archive.writestr(member, content)


def _requirements() -> list[str]:
    """The distributions that the grader needs to run, according to its own."""
    try:
        lines = importlib.metadata.requires(shipped.DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise GraderFault(
            "The grader is not installed here, so its requirements are unknown.", "Install it."
        ) from error
    return [needed for line in lines if (needed := _FOR_GRADING.sub("", line)) and "extra ==" not in needed]
