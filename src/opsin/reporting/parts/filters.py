"""The filters of convolutions, untrained and trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from opsin.reporting.parts.film import in_order
from opsin.reporting.parts.material import Material, Missing, spread
from opsin.reporting.texts import say

MOST_FIRST = 128  # filters of the first convolution
MOST_OTHER = 4  # output channels of a later convolution
MOST_INPUTS = 16  # input channels of a later convolution
MOST_LAYERS = 6


@dataclass(frozen=True)
class FilterBank:
    """One convolution at its first and its last snapshot.

    Attributes:
        kind: `maps`: weights float32 `(filters, inputs, kh, kw)`, every 2-D slice a signed map; `colour`: filters
            over three colour channels, `(filters, 3, kh, kw)`, shown as colours.
        peak: the largest magnitude of `start` and `end`: their common scale is -peak..peak.
        total: output and input channels that the layer has.
    """

    name: str
    kind: Literal["maps", "colour"]
    start: np.ndarray
    end: np.ndarray
    peak: float
    total: tuple[int, int]


@dataclass(frozen=True)
class Filters:
    """The first convolution as whole as it was stored, others in part."""

    steps: tuple[int, int]
    banks: tuple[FilterBank, ...]
    left_out: int


def filters(material: Material) -> Filters | Missing:
    """The filters at the first and the last snapshot."""
    run = material.run
    steps = run.snapshot_steps
    if not steps:
        return Missing(say("filters.missing"), say("film.remedy"))
    start, end = run.snapshot(steps[0]), run.snapshot(steps[-1])
    layers = run.info.get("layers", ())
    recorded = [entry["name"] for entry in layers if entry["name"] in end.filters]
    names = recorded or in_order(end.filters, layers)  # the order of the others is not known
    if not names:
        return Missing(say("filters.none"))
    chosen = [names[i] for i in spread(len(names), MOST_LAYERS)]
    colour = run.probe is not None and run.probe.images.shape[3] == 3
    banks = []
    for name in chosen:
        first = name == names[0]
        weights = end.filters[name]
        rows = spread(len(weights), MOST_FIRST if first else MOST_OTHER)
        inputs = spread(weights.shape[1], weights.shape[1] if first else MOST_INPUTS)
        before, after = (w[rows][:, inputs] for w in (start.filters[name], weights))
        banks.append(
            FilterBank(
                name=name,
                kind="colour" if first and colour and weights.shape[1] == 3 else "maps",
                start=before,
                end=after,
                peak=float(max(np.abs(before).max(), np.abs(after).max())),
                total=(int(end.filter_channels[name].max()) + 1, weights.shape[1]),
            )
        )
    return Filters((steps[0], steps[-1]), tuple(banks), len(end.filters) - len(chosen))
