"""
Builds the zip that an instructor uploads to Gradescope: this grader, one assignment, and how to run them.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from grader import shipped
from grader.assignment.load import find_assignment, load_assignment
from grader.errors import GraderFault
from grader.exports.gradescope import render_failure
from grader.reference.cases import build_cases

__all__ = ["build_zip"]

SCRIPTS = Path(__file__).parent / "scripts"
EPOCH = (1980, 1, 1, 0, 0, 0)
KILLED = "The autograder did not come to an end: it ran out of time or memory, or could not start."


def build_zip(assignment_id: str, directory: Path, options: dict[str, Any], *, torch_index: str | None = None) -> bytes:
    """
    The zip's content; the same input gives the same bytes.

    Args:
        directory: Where the source notebook is.
        options: `hidden_seed`, or None for that of the source, and `level`, the sandbox to insist on.
        torch_index: The address of PyTorch's index of CPU builds.

    Raises:
        SourceError, SolutionError: Nothing can be graded with that source notebook.
    """
    source = find_assignment(assignment_id, directory)
    build_cases(load_assignment(source))  # better no zip than a fault in each submission
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("run_autograder", "setup.sh"):
            _add(archive, name, (SCRIPTS / name).read_bytes(), mode=0o755)
        _add(archive, "constraints.txt", shipped.constraints().read_bytes())
        _add(archive, "failure.json", render_failure(KILLED).encode())
        _add(archive, "requirements.txt", "".join(f"{line}\n" for line in _requirements()).encode())
        _add(archive, "options.json", json.dumps({"assignment": assignment_id, **options}, indent=1).encode())
        _add(archive, f"solutions/{source.name}", source.read_bytes(), mode=0o600)
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
    """What the grader needs to run, as its distribution says."""
    try:
        lines = importlib.metadata.requires(shipped.DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise GraderFault("The grader is not installed here, so what it needs is unknown.", "Install it.") from error
    return [line for line in lines if "extra ==" not in line]
