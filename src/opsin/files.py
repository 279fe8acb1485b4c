"""Writing files so that a crash, a full disk or a second process never leaves half of one.

Every write goes to a temporary name in the same folder, is flushed to the disk and then renamed over the target;
readers therefore see the old file or the new one. Uses nothing that is only in POSIX.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, delete it otherwise.

    Raises:
        OpsinError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OpsinError(
            f"cannot write {path}: {error.strerror or error}; choose a folder that is writable and has space left"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, UTF-8, line ends as given."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as JSON indented by two. Non-finite numbers become null: JSON has no NaN."""
    write_text(path, to_json(value) + "\n")


def to_json(value: Any) -> str:
    """`value` as strict JSON text indented by two, non-finite numbers as null, NumPy values as plain ones."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        OpsinError: the file is missing or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OpsinError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise OpsinError(f"{path} is not valid JSON ({error}); it may have been edited or cut off") from error


def write_tensors(
    path: str | Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write NumPy arrays as a safetensors file, atomically."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, save(contiguous, metadata=dict(metadata or {})))


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the arrays and the metadata of a safetensors file.

    Raises:
        OpsinError: the file is missing or is not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise OpsinError(f"cannot read {path}: {error}; expected a .safetensors file") from error


def plain(value: Any) -> Any:
    """`value` with NumPy scalars and arrays, tuples, paths and non-finite floats turned into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Path):
        return value.as_posix()
    return value
