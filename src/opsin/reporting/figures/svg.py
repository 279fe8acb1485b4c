"""The small part of SVG that the figures need: axes with round numbers, paths, escaped attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

MOST_POINTS = 400  # of a path: more cannot be told apart at this size


@dataclass(frozen=True)
class Axis:
    """The range of one axis. `log` is to base 10, both ends above zero; `share` writes 0.25 as 25 %."""

    low: float
    high: float
    log: bool = False
    share: bool = False

    def place(self, values: np.ndarray) -> np.ndarray:
        """Values as shares of the axis, clipped to 0..1."""
        low, high = self.low, self.high
        if self.log:
            values, low, high = np.log10(np.maximum(values, 1e-300)), np.log10(low), np.log10(high)
        return np.clip((values - low) / ((high - low) or 1.0), 0, 1)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Round values within the axis, and how they are written."""
        if self.log:
            low, high = np.ceil(np.log10(self.low) - 1e-9), np.floor(np.log10(self.high) + 1e-9)
            every = max(1, round((high - low) / count))
            return [(10.0**power, f"1e{int(power)}") for power in np.arange(low, high + 1, every)]
        step = nice((self.high - self.low) / max(count - 1, 1))
        values = np.arange(np.ceil(self.low / step - 1e-9), np.floor(self.high / step + 1e-9) + 1) * step
        return [(float(value), self._written(float(value) + 0.0)) for value in values]  # + 0.0: never -0

    def _written(self, value: float) -> str:
        if self.share:
            return f"{100 * value:.4g}%"
        return f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:.4g}"


def nice(step: float) -> float:
    """The first of 1, 2, 5 times a power of ten that is not below `step`."""
    if not step > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(times * power for times in (1, 2, 5, 10) if times * power >= step * (1 - 1e-9)))


def around(values: np.ndarray, *, log: bool = False, share: bool = False, zero: bool = False) -> Axis:
    """An axis for these values: from zero where asked for, else with a little room; whole powers of ten for `log`."""
    finite = values[np.isfinite(values)]
    if log:
        finite = finite[finite > 0]
        if not len(finite):
            return Axis(1e-3, 1.0, log=True)
        low, high = np.floor(np.log10(finite.min())), np.ceil(np.log10(finite.max()))
        return Axis(float(10**low), float(10 ** max(high, low + 1)), log=True)
    if not len(finite):
        return Axis(0.0, 1.0, share=share)
    low, high = float(finite.min()), float(finite.max())
    room = 0.05 * ((high - low) or abs(high) or 1.0)
    low = min(0.0, low) if zero else low - room
    return Axis(low, min(high + room, 1.0) if share and high <= 1 else high + room, share=share)


def path(x: np.ndarray, y: np.ndarray) -> str:
    """Path data through these points; points that are not finite are left out, and more than `MOST_POINTS` thinned."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) > MOST_POINTS:
        rows = np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(int)
        x, y = x[rows], y[rows]
    if len(x) == 1:
        return f"M{x[0]:.1f} {y[0]:.1f}h0"
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True)) if len(x) else ""


def element(name: str, text: str | Markup = "", /, **attributes: object) -> Markup:
    """One element. Attribute names are written with `_` for `-` (`class_` for `class`); values and text are escaped."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, text)
