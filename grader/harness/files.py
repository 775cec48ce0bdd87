"""
Puts the files that came with a notebook into its folder, before its first cell runs.
"""

from __future__ import annotations

import base64
from pathlib import Path

__all__ = ["put"]


def put(name: str, encoded: str) -> None:
    """Append to a file what is encoded in base64. Its folder is made if it is not there."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(base64.b64decode(encoded))
