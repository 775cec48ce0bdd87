"""
The border for tensors: they are checked before memory is allocated for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from safetensors import SafetensorError, deserialize

__all__ = ["read_tensors"]

MOST_DIMENSIONS = 16
LARGEST_SIZE = 2**40
_DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
"""The dtypes of tensors that are read, by their names in the safetensors format."""


def read_tensors(payload: bytes, names: Iterable[str]) -> dict[str, torch.Tensor]:
    """
    The tensors of a payload that have one of these names; empty if it is not in the safetensors format.

    A tensor takes exactly the bytes that its dtype and shape need, and these are in the payload already.
    """
    if not payload:
        return {}
    try:
        found = dict(deserialize(payload))
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError, OverflowError, MemoryError):
        return {}
    return {name: tensor for name in names if name in found and (tensor := _tensor(found[name])) is not None}


def _tensor(described: Mapping[str, Any]) -> torch.Tensor | None:
    """A tensor from its dtype, shape and bytes; None if they do not fit together."""
    dtype, shape, content = _DTYPES.get(described["dtype"]), list(described["shape"]), described["data"]
    if dtype is None or len(shape) > MOST_DIMENSIONS or any(not 0 <= size <= LARGEST_SIZE for size in shape):
        return None
    if math.prod(shape) * dtype.itemsize != len(content):
        return None
    if not content:
        # With a size of zero, the other sizes take no memory. But torch multiplies them, and that must not overflow.
        return torch.empty(shape, dtype=dtype) if math.prod(max(1, size) for size in shape) <= LARGEST_SIZE else None
    return torch.frombuffer(content, dtype=dtype).reshape(shape)
