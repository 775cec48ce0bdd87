"""
The user's portal: its address, and the key with which programs hand in for the user. Both are in a file of the user's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from grader.errors import UsageError
from grader.files import write_atomically

__all__ = ["UserPortal", "load_portal", "portal_file", "save_portal"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY = re.compile(r"[A-Za-z0-9_-]{20,200}")
LIMIT_BYTES = 10_000
HOW_TO = "Make a key on the portal's home page, and follow what it says."
NAME_A_FOLDER = "Set the variable XDG_CONFIG_HOME to a folder of yours."


@dataclasses.dataclass(frozen=True, slots=True)
class UserPortal:
    """
    Where the user hands in.

    Attributes:
        address: Such as `https://grader.school.example`: without a path, and without a slash at its end.
    """

    address: str
    key: str = dataclasses.field(repr=False)

    @staticmethod
    def of(address: str, key: str) -> UserPortal:
        """
        Check both.

        Raises:
            UsageError: One of them cannot be right, or the key would travel where others can read it.
        """
        try:
            parts = urlsplit(address.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
        if parts.scheme not in ("http", "https") or not is_plain or not re.fullmatch(r"[A-Za-z0-9.:-]+", host):
            raise UsageError(
                f"{address!r} is not the address of a portal.",
                "Copy it from the portal: https://grader.school.example.",
            )
        if parts.scheme == "http" and host not in LOOPBACK:
            raise UsageError(
                f"{address} is not safe: others could read your key on its way.", "Use the address with https."
            )
        if not KEY.fullmatch(key):
            raise UsageError("This is not a key of a portal.", HOW_TO)
        name = f"[{host}]" if ":" in host else host
        return UserPortal(f"{parts.scheme}://{name}" + (f":{port}" if port is not None else ""), key)

    @property
    def is_here(self) -> bool:
        """Whether the portal is on this machine."""
        return urlsplit(self.address).hostname in LOOPBACK


def portal_file() -> Path:
    """The file; it may not exist."""
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        folder = Path(configured) if Path(configured).is_absolute() else Path.home() / ".config"
    except RuntimeError as error:
        raise UsageError(
            "You have no home folder.", "Set the variable XDG_CONFIG_HOME to a folder of yours."
        ) from error
    return folder / "grader" / "portal.json"


def save_portal(portal: UserPortal) -> Path:
    """
    Save the user's portal, in a file that only the user can read.

    Raises:
        UsageError: The file cannot be written.
    """
    path = portal_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"portal": portal.address, "key": portal.key}) + "\n", is_private=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).", NAME_A_FOLDER) from error
    return path


def load_portal() -> UserPortal:
    """
    Read it back.

    Raises:
        UsageError: None was saved, or the file is damaged; the hint says how to save one.
    """
    path = portal_file()
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES)
    except FileNotFoundError as error:
        raise UsageError("No key for handing in is saved on this machine.", HOW_TO) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Check its permissions.") from error
    try:
        saved = json.loads(content)
        address, key = str(saved["portal"]), str(saved["key"])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is damaged.", HOW_TO) from error
    return UserPortal.of(address, key)
