"""Records as safetensors files: arrays as they are, everything else as JSON in the metadata."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from opsin.errors import OpsinError
from opsin.files import read_tensors, to_json, write_tensors
from opsin.records.common import jsonable

Record = TypeVar("Record")


def save_record(record: Any, path: str | Path) -> None:
    """Write a frozen dataclass of arrays, texts, numbers and tuples of these."""
    values = {item.name: getattr(record, item.name) for item in dataclasses.fields(record)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    rest = {name: jsonable(value) for name, value in values.items() if name not in arrays}
    write_tensors(path, arrays, {type(record).__name__: to_json(rest)})


def load_record(kind: type[Record], path: str | Path) -> Record:
    """Read what `save_record` wrote of a record of this kind; lists come back as tuples.

    Raises:
        OpsinError: the file is missing, or holds another record.
    """
    arrays, metadata = read_tensors(path)
    if kind.__name__ not in metadata:
        raise OpsinError(f"{path} holds no {kind.__name__}; expected a file that {kind.__name__}.save wrote")
    rest = {name: _tuples(value) for name, value in json.loads(metadata[kind.__name__]).items()}
    try:
        return kind(**arrays, **rest)
    except TypeError as error:
        raise OpsinError(f"{path} is no {kind.__name__} of this version ({error}); make it again") from error


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
