"""What was asked of a demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opsin.errors import OpsinError


@dataclass(frozen=True)
class Asked:
    """The flags of `opsin demo`.

    Attributes:
        name: of the demonstration.
        data, model, out: None where not given.
        language: in which the page opens.
        json: whether one JSON document is printed.
        settings: of the Recipe, those that were given.
    """

    name: str
    data: str | None
    model: str | None
    out: Path | None
    language: Literal["en", "zh-CN"]
    json: bool
    settings: Mapping[str, Any]

    def refuse(self, *flags: str) -> None:
        """Say that a flag has no effect in this demonstration.

        Raises:
            OpsinError: one of `flags` ("data", "model", "settings") was given.
        """
        for flag in flags:
            value = getattr(self, flag)
            if value:
                given = next(iter(value)).replace("_", "-") if isinstance(value, Mapping) else flag
                raise OpsinError(f"--{given} has no effect on opsin demo {self.name}; leave it out")
