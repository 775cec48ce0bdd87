"""
Makes the wheel that students install: the grader without the source notebooks and samples that come with it.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import zipfile

from grader import shipped
from grader.errors import GraderFault
from grader.version import __version__

__all__ = ["build_wheel", "name_of_wheel"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_STEM = f"{shipped.DISTRIBUTION.replace('-', '_')}-{__version__}"
_WHEEL = "Wheel-Version: 1.0\nGenerator: grader\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def name_of_wheel() -> str:
    """The file's name, which says what is in it: pip wants no other one."""
    return f"{_STEM}-py3-none-any.whl"


def build_wheel() -> bytes:
    """
    The content of the wheel; the same installation gives the same bytes.

    Raises:
        GraderFault: The grader is not installed here, so what it needs is unknown.
    """
    try:
        installed = importlib.metadata.distribution(shipped.DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise GraderFault("The grader is not installed here, so what it needs is unknown.", "Install it.") from error
    files = {
        f"grader/{path.relative_to(shipped.PACKAGE).as_posix()}": path.read_bytes() for path in shipped.own_files()
    }
    about = {"METADATA": installed.read_text("METADATA"), "WHEEL": _WHEEL}
    about["entry_points.txt"] = installed.read_text("entry_points.txt")
    files |= {f"{_STEM}.dist-info/{name}": text.encode() for name, text in about.items() if text}
    record = f"{_STEM}.dist-info/RECORD"
    lines = [f"{name},sha256={_hash_of(content)},{len(content)}\n" for name, content in files.items()]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return packed.getvalue()


def _hash_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
