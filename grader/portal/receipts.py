"""
Receipts: they prove that a file was handed in, and when.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from grader.portal.attempts import Attempt

__all__ = ["fields_of", "receipt", "verify"]

FIELDS = ("assignment", "student", "attempt", "file", "sha256", "received")
PROOF = "proof"


def receipt(attempt: Attempt, secret: bytes) -> str:
    """
    The receipt of an attempt, a text with a field on each line.

    Its proof is an HMAC-SHA-256 (RFC 2104) of the other lines, which only this portal can make.
    """
    values = {
        "assignment": attempt.assignment,
        "student": attempt.student,
        "attempt": str(attempt.number),
        "file": re.sub(r"\s+", " ", attempt.file),
        "sha256": attempt.sha256,
        "received": attempt.received_at.isoformat(),
    }
    lines = "".join(f"{name}: {values[name]}\n" for name in FIELDS)
    return f"{lines}{PROOF}: {_proof(lines, secret)}\n"


def verify(text: str, secret: bytes) -> bool:
    """Whether a receipt came from this portal, and was not changed."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if not lines or not lines[-1].startswith(f"{PROOF}: "):
        return False
    said = "".join(f"{line}\n" for line in lines[:-1])
    return hmac.compare_digest(lines[-1].removeprefix(f"{PROOF}: ").encode(), _proof(said, secret).encode())


def fields_of(text: str) -> dict[str, str]:
    """What a receipt says, by the names of its fields; those that it does not have are empty."""
    said = dict(line.strip().partition(": ")[::2] for line in text.strip().splitlines())
    return {name: said.get(name, "") for name in FIELDS}


def _proof(lines: str, secret: bytes) -> str:
    return hmac.new(secret, lines.encode("utf-8"), hashlib.sha256).hexdigest()
