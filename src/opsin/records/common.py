"""What several records share."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from opsin.files import plain


class Interval(NamedTuple):
    """A confidence interval, `low <= high`, in the unit of the figure that it belongs to."""

    low: float
    high: float


class Unreadable(NamedTuple):
    """A file that could not be decoded, and why."""

    path: str
    reason: str


def jsonable(value: Any) -> Any:
    """Records, named tuples and what they hold as dictionaries, lists and plain values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: jsonable(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: jsonable(item) for key, item in value._asdict().items()}  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    return plain(value)
