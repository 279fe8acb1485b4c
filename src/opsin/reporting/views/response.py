"""How the answer changes while the picture is moved."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from opsin.inference.answers import Progress
from opsin.reporting.views.flow import Shift
from opsin.reporting.views.subject import Subject

Change = Literal["shift_y", "shift_x", "rotate", "scale"]


def response(
    subject: Subject, *, progress: Progress, image: str, change: Change,  # noqa: ARG001
    values: Annotated[list[float], Field(min_length=1, max_length=200)],
    shift: Shift = [0, 0], rotate: float = 0, scale: float = 1,  # noqa: B006
) -> dict[str, Any]:  # fmt: skip
    """The answers to one picture while one way of moving it takes several values and the others stay.

    Args:
        image, shift, rotate, scale: as of `flow.input`.
        change: which of them takes the values; `shift_y` is down, `shift_x` right.
        values: what it takes.

    Returns:
        change; values: float32 `(v,)`; probabilities: float32 `(v, classes)`.
    """
