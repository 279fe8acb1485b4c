"""Points on a plane, coloured and marked by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from opsin.reporting.figures.colours import class_style
from opsin.reporting.figures.svg import element

SIDE, EDGE = 320, 8
SHAPES = {"dot": "h0", "cross": "m-2.5 -2.5l5 5m0 -5l-5 5", "square": "m-2 -2h4v4h-4z"}
"""What is drawn from a point, as path data; a dot is the round cap of a line without length."""


def scatter(
    points: np.ndarray, labels: np.ndarray, coloured: Sequence[int], right: np.ndarray | None, label: Markup
) -> Markup:
    """Points `(n, 2)` in the unit square. Classes without a colour are grey and lie below; wrong answers are ringed."""
    at = EDGE + points * (SIDE - 2 * EDGE)
    at[:, 1] = SIDE - at[:, 1]
    parts = [_marks(at[~np.isin(labels, coloured)], "dot", "var(--faint)")]
    parts += [_marks(at[labels == c], mark, tint) for c in coloured for tint, mark in [class_style(c)]]
    if right is not None:
        rings = "".join(f"M{x - 4.5:.1f} {y:.1f}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0" for x, y in at[~right])
        parts.append(element("path", class_="ring", d=rings) if rings else Markup(""))
    return Markup('<svg class="scatter" viewBox="0 0 {0} {0}" role="img" {1}>{2}</svg>').format(
        SIDE, label, Markup("").join(parts)
    )


def swatch(index: int) -> Markup:
    """The mark of a class, for a legend."""
    tint, mark = class_style(index)
    return Markup('<svg class="swatch" viewBox="-6 -6 12 12" aria-hidden="true">{}</svg>').format(
        _marks(np.zeros((1, 2)), mark, tint)
    )


def _marks(at: np.ndarray, mark: str, tint: str) -> Markup:
    data = "".join(f"M{x:.1f} {y:.1f}{SHAPES[mark]}" for x, y in at)
    return element("path", class_=f"mark {mark}", d=data, style=f"stroke:{tint}") if data else Markup("")
