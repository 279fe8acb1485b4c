"""Shifted, rotated and scaled pictures, for asking which layers notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torchvision.transforms.v2.functional as tv

from opsin.errors import OpsinError

SHIFT, ROTATION, SCALE = "shift", "rotation", "scale"
DEFAULT: Mapping[str, Sequence[float]] = {
    SHIFT: (0.04, 0.1, 0.2),
    ROTATION: (5, 15, 45, 90),
    SCALE: (0.9, 1.1, 0.75, 1.33),
}
RANGES = {SHIFT: (0.0, 0.5), ROTATION: (0.0, 180.0), SCALE: (0.25, 4.0)}
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def read_transforms(given: Mapping[str, Sequence[float]] | None) -> tuple[tuple[str, float], ...]:
    """(kind, amount) of everything that was asked for.

    Raises:
        OpsinError: there is no such kind, or an amount is out of range.
    """
    found = []
    for kind, amounts in (DEFAULT if given is None else given).items():
        if kind not in RANGES:
            raise OpsinError(f"there is no transform {kind!r}; expected {', '.join(RANGES)}")
        low, high = RANGES[kind]
        for amount in [amounts] if isinstance(amounts, int | float) else amounts:
            if not low <= amount <= high:
                raise OpsinError(f"{kind} by {amount} was asked for; expected an amount from {low:g} to {high:g}")
            found.append((kind, float(amount)))
    return tuple(found)


def transform(pixels: np.ndarray, kind: str, amount: float, first: int = 0) -> np.ndarray:
    """Transformed copies of pictures; what comes in from outside is the picture mirrored at its border.

    Images take turns, so that no direction is preferred: right, down, left and up of a shift (by a share of the shorter
    side, at least one pixel unless it is 0), to the left and to the right of a rotation (degrees). Scale is a factor:
    above 1 the object grows. Bilinear.

    Args:
        pixels: uint8 `(n, h, w, c)`.
        kind, amount: see above.
        first: the number of the first image, which decides the turn.

    Returns:
        uint8 `(n, h, w, c)`.
    """
    height, width = pixels.shape[1:3]
    # as far as the corners of the rotated or shrunk frame reach
    margin = int(np.ceil(np.hypot(height, width) / 2 * max(1.0, 1 / amount if kind == SCALE else 1.0)))
    padded = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    images = torch.from_numpy(padded).permute(0, 3, 1, 2)
    out = np.empty_like(pixels)
    for turn, (across, down) in enumerate(DIRECTIONS):
        rows = np.flatnonzero((np.arange(len(pixels)) + first) % len(DIRECTIONS) == turn)
        if not len(rows):
            continue
        step = shift_pixels(amount, (height, width)) if kind == SHIFT else 0
        angle = (amount if turn % 2 == 0 else -amount) if kind == ROTATION else 0.0
        moved = tv.affine(
            images[torch.from_numpy(rows)],
            angle=angle,
            translate=[across * step, down * step],
            scale=amount if kind == SCALE else 1.0,
            shear=[0.0, 0.0],
            interpolation=tv.InterpolationMode.BILINEAR,
        )
        inner = moved[:, :, margin : margin + height, margin : margin + width]
        out[rows] = inner.permute(0, 2, 3, 1).numpy()
    return out


def shift_pixels(amount: float, size: tuple[int, int]) -> int:
    """A shift in whole pixels."""
    return max(1, round(amount * min(size))) if amount else 0
