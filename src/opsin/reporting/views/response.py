"""How the answer changes while the picture is moved."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from opsin.inference.answers import Progress
from opsin.reporting.views.flow import Shift, probabilities
from opsin.reporting.views.moving import Move
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.traced import given_of

Change = Literal["shift_y", "shift_x", "rotate", "scale"]
TOGETHER = 8


def response(
    subject: Subject, *, progress: Progress, image: str, change: Change,
    values: Annotated[list[float], Field(min_length=1, max_length=200)],
    shift: Shift = (0.0, 0.0), rotate: float = 0.0, scale: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """The answers to one picture while one way of moving it takes several values and the others stay.

    Args:
        image, shift, rotate, scale: as of `flow.input`.
        change: which of them takes the values; `shift_y` is down, `shift_x` right.
        values: what it takes.

    Returns:
        change; values: float32 `(v,)`; probabilities: float32 `(v, classes)`.
    """
    seen = subject.images[image]
    moves = [_changed(Move(shift, rotate, scale), change, value) for value in values]
    logits = []
    for start in range(0, len(moves), TOGETHER):
        progress("moving the picture", start, len(moves))
        inputs = torch.cat([given_of(subject, seen, move).tensor for move in moves[start : start + TOGETHER]])
        logits.append(subject.model.logits(inputs).numpy())
    return {
        "change": change,
        "values": np.array(values, np.float32),
        "probabilities": probabilities(np.concatenate(logits)),
    }


def _changed(move: Move, change: Change, value: float) -> Move:
    match change:
        case "shift_y":
            return dataclasses.replace(move, shift=(value, move.shift[1]))
        case "shift_x":
            return dataclasses.replace(move, shift=(move.shift[0], value))
        case "rotate":
            return dataclasses.replace(move, rotate=value)
        case "scale":
            return dataclasses.replace(move, scale=value)
