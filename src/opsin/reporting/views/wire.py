"""Answers as documents with arrays and pictures beside them: JSON and buffers. The twin of `web/src/protocol/wire.ts`.

An array stands in the document as `{"$array": index, "dtype": ..., "shape": [...]}`, an encoded picture as
`{"$picture": index, "type": ...}`; the index is that of its buffer.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.errors import OpsinError

DTYPES = {"uint8": np.uint8, "int32": np.int32, "float32": np.float32}
ALIGNMENT = 8


@dataclass(frozen=True)
class Picture:
    """An encoded picture: the bytes of a file of this type."""

    data: bytes
    type: str


def pack(value: Any) -> tuple[Any, list[bytes]]:
    """Take arrays and pictures out of a value.

    Args:
        value: None, bool, int, float, str, NumPy arrays and scalars, Pictures, and mappings and sequences of these.
            Arrays of other types become the nearest of uint8, int32 and float32; NaN and infinities outside arrays
            become None.

    Returns:
        The document, ready for JSON, and the buffers.

    Raises:
        TypeError: something else is in the value: a mistake in this package.
    """
    buffers: list[bytes] = []
    return _lowered(value, buffers), buffers


def _lowered(value: Any, buffers: list[bytes]) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float() | np.floating():
            return float(value) if math.isfinite(value) else None
        case np.bool_() | np.integer():
            return value.item()
        case np.ndarray():
            kept = np.ascontiguousarray(value, _dtype(value.dtype))
            buffers.append(kept.tobytes())
            # the shape that was given: NumPy makes one axis of none on the way
            return {"$array": len(buffers) - 1, "dtype": kept.dtype.name, "shape": list(value.shape)}
        case Picture():
            buffers.append(value.data)
            return {"$picture": len(buffers) - 1, "type": value.type}
        case Mapping():
            return {str(key): _lowered(item, buffers) for key, item in value.items()}
        case Sequence() | set() | frozenset():
            return [_lowered(item, buffers) for item in value]
    raise TypeError(f"an answer holds a {type(value).__name__}")


def _dtype(given: np.dtype) -> type[np.generic]:
    if given in (np.uint8, np.bool_):
        return np.uint8
    if np.issubdtype(given, np.integer):
        return np.int32
    if np.issubdtype(given, np.floating):
        return np.float32
    raise TypeError(f"an answer holds an array of {given}")


def unpack(document: Any, buffers: Sequence[bytes | memoryview]) -> Any:
    """Put arrays and pictures back into a document that came from outside.

    Raises:
        OpsinError: the document names a buffer that is not there, or one of another size.
    """
    if isinstance(document, list):
        return [unpack(item, buffers) for item in document]
    if not isinstance(document, dict):
        return document
    if "$array" in document:
        return _array(document, _buffer(document["$array"], buffers))
    if "$picture" in document:
        return Picture(bytes(_buffer(document["$picture"], buffers)), str(document.get("type", "")))
    return {key: unpack(item, buffers) for key, item in document.items()}


def _buffer(index: Any, buffers: Sequence[bytes | memoryview]) -> bytes | memoryview:
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(buffers):
        raise OpsinError(f"a message names buffer {index!r} of {len(buffers)}; load the page again")
    return buffers[index]


def _array(entry: Mapping[str, Any], data: bytes | memoryview) -> np.ndarray:
    dtype, shape = DTYPES.get(str(entry.get("dtype"))), entry.get("shape")
    lengths = isinstance(shape, list) and all(type(length) is int and length >= 0 for length in shape)
    if dtype is None or not lengths or math.prod(shape or ()) * np.dtype(dtype).itemsize != len(data):
        raise OpsinError(
            f"a message holds {len(data)} bytes as {entry.get('dtype')} of shape {shape}; load the page again"
        )
    return np.frombuffer(data, dtype).reshape(shape)


def canonical(value: Any) -> str:
    """One text per meaning, as in `web/src/protocol/wire.ts`: the key under which an answer is stored."""
    return json.dumps(_as_in_script(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _as_in_script(value: Any) -> Any:
    """Whole floats as integers: JavaScript knows no difference and writes 1.0 as 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _as_in_script(item) for key, item in value.items()}
    return [_as_in_script(item) for item in value] if isinstance(value, list | tuple) else value


def encode(content: Mapping[str, Any], buffers: Sequence[bytes]) -> bytes:
    """A WebSocket message: the header's length (uint32, little-endian), the header, buffers at multiples of 8."""
    header = json.dumps({**content, "buffers": [len(item) for item in buffers]}, allow_nan=False).encode()
    message = bytearray(struct.pack("<I", len(header)) + header)
    for item in buffers:
        message.extend(b"\0" * (-len(message) % ALIGNMENT))
        message.extend(item)
    return bytes(message)


def decode(message: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """Content and buffers of a WebSocket message.

    Raises:
        OpsinError: the message is none of these.
    """
    try:
        (length,) = struct.unpack_from("<I", message)
        content = json.loads(message[4 : 4 + length])
        sizes, view, end, buffers = content.pop("buffers"), memoryview(message), 4 + length, []
        for size in sizes:
            start = end + -end % ALIGNMENT
            end = start + size
            if type(size) is not int or size < 0 or end > len(message):
                raise ValueError("a buffer lies outside of the message")
            buffers.append(view[start:end])
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OpsinError(f"a message of {len(message)} bytes cannot be read ({error}); load the page again") from error
    return content, buffers
