"""The measures that draw an Explanation's maps again: of changed inputs, of changed networks, of mosaics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opsin.evidence import controls, localisation, sanity, stability
from opsin.evidence.agreement import spearman
from opsin.evidence.measures import MEASURES, Settings
from opsin.evidence.subject import Subject, explain_again, explain_classes
from opsin.explanation.methods import METHODS
from opsin.models.classifier import Classifier
from opsin.records import Explanation, Measure

EXPLAINED_AGAIN = 16  # images for the measures that draw maps again and again
SAME_MAP, SAME_RANDOM_MAP = 0.9, 0.5  # rank correlation with the map drawn again; of a stochastic method


class CannotMeasure(Exception):
    """Why a measure cannot be made of this explanation."""


class Again:
    """Draws an Explanation's maps again, of its first images; once for all measures that do."""

    def __init__(self, explanation: Explanation, model: Classifier, method: Callable[..., Any] | None) -> None:
        self.explanation, self.model = explanation, model
        self.method = method or explanation.method
        self.rows = slice(0, EXPLAINED_AGAIN)
        self._maps: np.ndarray | None = None

    def draw(self, inputs: Tensor, model: Classifier | None = None) -> np.ndarray:
        """float32 `(n, h, w)`: the maps of (changed) inputs of the first images."""
        return explain_again(self.explanation, model or self.model, inputs, self.rows, self.method)

    def draw_cells(self, mosaics: localisation.Mosaics) -> np.ndarray:
        """float32 `(k, 4, h, w)`: the maps of the class in each cell, four in one pass."""
        return explain_classes(self.explanation, self.model, mosaics.inputs, mosaics.targets, self.method)

    def maps(self, subject: Subject) -> np.ndarray:
        """The maps of the unchanged inputs and network, which must be the explanation's own."""
        if isinstance(self.method, str) and self.method not in METHODS:
            raise CannotMeasure(f"{self.method} is a function of your own; give it as method=")
        if self._maps is None:
            self._maps = self.draw(subject.inputs[self.rows])
        known = METHODS.get(self.explanation.method)
        least = SAME_RANDOM_MAP if known is not None and known.stochastic else SAME_MAP
        alike = float(spearman(self.explanation.maps[self.rows], self._maps).mean())
        if alike < least:
            raise CannotMeasure(
                f"the maps are not those that {self.explanation.method} gives for this model and these inputs (rank "
                f"correlation {alike:.2f})"
            )
        return self._maps


def _max_sensitivity(subject: Subject, again: Again, settings: Settings) -> Measure:
    maps = again.maps(subject)
    some = subject.part(again.rows)
    own = torch.from_numpy(maps).to(subject.inputs.device)
    values = stability.max_sensitivity(some, own, again.draw, controls.stream(settings.seed, "max_sensitivity"))
    described = {
        "source": "Yeh et al. 2019", "radius": stability.RADIUS, "samples": stability.NEIGHBOURS,
        "norm": "Frobenius, relative to the map's", "noise": "uniform, L-infinity", "images": len(some),
        "random_maps": 1,
    }  # fmt: skip
    return controls.measure(values, MEASURES["max_sensitivity"], described, settings.seed)


def _randomisation(subject: Subject, again: Again, settings: Settings) -> Measure:
    if next(subject.model.module.parameters(), None) is None:
        raise CannotMeasure(f"{subject.model.label} has no parameters that could be randomised")
    inputs, maps = subject.inputs[again.rows], again.maps(subject)
    found = sanity.cascade(subject.model, inputs, maps, lambda other: again.draw(inputs, other), settings.seed)
    curve = np.stack([found.shares, found.rank.mean(axis=1), found.structure.mean(axis=1)], axis=1)
    return controls.measure(
        found.alike, MEASURES["randomisation"], sanity.protocol(found), settings.seed, curve=curve,
        columns=("share", "spearman", "ssim"),
    )  # fmt: skip


def _grid_pointing(subject: Subject, again: Again, settings: Settings) -> Measure:
    again.maps(subject)
    mosaics = localisation.build_mosaics(subject.model, subject.inputs, settings.seed)
    stream = controls.stream(settings.seed, "grid_pointing")
    edges = controls.edges(mosaics.inputs)
    cells = localisation.CELLS * len(mosaics.inputs)
    randoms = controls.random_maps_for(cells)

    def stack(maps: Tensor) -> Tensor:
        return torch.cat([maps[None], controls.random_maps(maps, randoms, stream), edges[None].to(maps)])

    values = localisation.grid_pointing(mosaics, again.draw_cells, stack)
    described = {
        "source": "Boehle et al. 2021", "mosaics": len(mosaics.inputs), "confidence": localisation.CONFIDENT,
        "images_halved": mosaics.halved, "chance": 1 / localisation.CELLS, "random_maps": randoms,
        "order": "top left of every mosaic, then top right, bottom left, bottom right",
    }  # fmt: skip
    return controls.measure(values, MEASURES["grid_pointing"], described, settings.seed)


DRAWN_AGAIN: dict[str, Callable[[Subject, Again, Settings], Measure]] = {
    "max_sensitivity": _max_sensitivity,
    "randomisation": _randomisation,
    "grid_pointing": _grid_pointing,
}
