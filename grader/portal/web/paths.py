"""
Numbers in addresses: `{attempt:number}`. What no database has room for is no address.
"""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

__all__ = ["register_paths"]


class _Number(Convertor[int]):
    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


def register_paths() -> None:
    """Let routes use `number`."""
    register_url_convertor("number", _Number())
