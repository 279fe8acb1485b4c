"""How images lie in the features of a network, and what each of its layers makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.errors import OpsinError
from opsin.files import read_json, write_json
from opsin.records.common import Interval, jsonable
from opsin.records.stored import load_record, save_record


@dataclass(frozen=True)
class FeatureSpace:
    """The features of n images at one layer, and where a projection puts them.

    Attributes:
        features: float32 `(n, f)`.
        layer: where they were taken; `pooled` says how maps or tokens became a vector.
        names, labels, classes: of the images; labels int64 `(n,)`, or None.
        total: how many images there were to draw the n from.
        seed: of the draw and of the projection.
        method: `pca`, `tsne`, or "" where nothing was projected; `settings` are its settings.
        projection: float32 `(n, components)`, or None.
        explained: float64 `(components,)`: share of the features' variance along each axis of a PCA, or None.
        neighbours: k of the following two.
        trustworthiness: 0..1: whether neighbours in the projection are neighbours in the features (Venna and Kaski
            2001), or None.
        purity: mean share of an image's k nearest neighbours, in the features, that have its label, or None;
            `purity_projection` the same in the projection, `purity_chance` what shuffled labels would give.
        misfit: after `aligned_to`: share of the other projection's spread that this one does not have, 0 where the
            images lie as they did and 1 where nothing is left of it, or None.
        notes: what a reader has to know.
    """

    features: np.ndarray
    layer: str
    pooled: str
    names: tuple[str, ...]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    total: int
    seed: int
    method: str = ""
    settings: dict[str, Any] | None = None
    projection: np.ndarray | None = None
    explained: np.ndarray | None = None
    neighbours: int = 0
    trustworthiness: float | None = None
    purity: float | None = None
    purity_projection: float | None = None
    purity_chance: float | None = None
    misfit: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.features) != len(self.names):
            raise OpsinError(
                f"features have shape {self.features.shape}, expected one row for each of {len(self)} names"
            )

    def __len__(self) -> int:
        return len(self.names)

    def text(self) -> str:
        """What was found, in plain sentences."""
        lines = [f"{len(self):,} images, {self.features.shape[1]:,} features of {self.layer} ({self.pooled})"]
        if self.purity is not None and self.purity_chance is not None:
            lines.append(
                f"{100 * self.purity:.1f} % of the {self.neighbours} nearest neighbours have the same label "
                f"(by chance {100 * self.purity_chance:.1f} %)"
            )
        if self.explained is not None:
            lines.append(f"PCA: {100 * self.explained.sum():.1f} % of the variance on {len(self.explained)} axes")
        if self.trustworthiness is not None:
            lines.append(
                f"trustworthiness of the projection {self.trustworthiness:.3f}: 1 where all neighbours on the map are "
                "neighbours in the features"
            )
        if self.misfit is not None:
            lines.append(
                f"aligned to the other projection; {100 * self.misfit:.1f} % of how the images lay has changed"
            )
        return "\n".join([*lines, *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the features."""
        heads = (
            "layer", "pooled", "total", "seed", "method", "settings", "explained", "neighbours", "trustworthiness",
            "purity", "purity_projection", "purity_chance", "misfit", "classes", "notes",
        )  # fmt: skip
        images = [
            {
                "image": name,
                "label": None if self.labels is None else self.classes[self.labels[at]],
                "place": None if self.projection is None else self.projection[at].tolist(),
            }
            for at, name in enumerate(self.names)
        ]
        return jsonable({**{name: getattr(self, name) for name in heads}, "images": images})

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file; `FeatureSpace.load` reads it back."""
        save_record(self, path)

    @classmethod
    def load(cls, path: str | Path) -> FeatureSpace:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no FeatureSpace.
        """
        return load_record(cls, path)


@dataclass(frozen=True)
class LayerProbe:
    """What one layer makes of the images.

    Attributes:
        layer: its name; `pixels` is the network's input.
        depth: its place in the order of computation, 0 for the pixels.
        features: how many numbers the probe got; `pooled` says how they were made of the layer's output.
        accuracy, interval: of a linear probe on validation images, with its 95 % interval.
        train_accuracy: the same on the images that it was fitted on.
        strength: the inverse regularisation C that cross-validation chose.
        pooled_likeness, likeness: float64 `(transforms,)`: mean cosine, over images, between the centred features of an
            image and of its transformed copy: of features averaged over places, and place by place.
        pooled_control, control: the same between different images, without any transform.
        pooled_spread: root mean square of the pooled cosines between different images; near 1 the pooled features have
            one direction only, as the mean of grey pixels has, and their likeness says little.
    """

    layer: str
    depth: int
    features: int
    pooled: str
    accuracy: float
    interval: Interval
    train_accuracy: float
    strength: float
    pooled_likeness: np.ndarray
    likeness: np.ndarray
    pooled_control: float
    control: float
    pooled_spread: float

    def kept(self, *, pooled: bool = True) -> np.ndarray:
        """float64 `(transforms,)`: likeness on a scale on which different images have 0 and equal ones 1."""
        values, base = (self.pooled_likeness, self.pooled_control) if pooled else (self.likeness, self.control)
        return (values - base) / max(1 - base, 1e-12)


@dataclass(frozen=True)
class LayerProbes:
    """What becomes readable, what becomes abstract and what stays sensitive, layer by layer.

    Attributes:
        rows: the layers in the order of computation, the pixels first.
        transforms: (kind, amount): `shift` by a share of the shorter side, `rotation` in degrees, `scale` as a factor.
        classes: class names; `chance` the share of the largest class among the validation images.
        trained, validated, transformed: how many images the probes were fitted on, measured on, and how many were
            transformed (validation images).
        seed: of all draws.
        protocol: how it was measured.
        notes: what a reader has to know.
    """

    rows: tuple[LayerProbe, ...]
    transforms: tuple[tuple[str, float], ...]
    classes: tuple[str, ...]
    chance: float
    trained: int
    validated: int
    transformed: int
    seed: int
    protocol: dict[str, Any]
    notes: tuple[str, ...] = ()

    SAME, LOST = 0.9, 0.5
    """Kept likeness from which a layer counts as indifferent to a transform, and below which as sensitive to it."""
    FLAT = 0.6
    """Spread from which pooled features have too few directions to be compared."""

    @property
    def best(self) -> LayerProbe:
        """The layer whose probe is most accurate, the first of several."""
        return max(self.rows, key=lambda row: (row.accuracy, -row.depth))

    @property
    def readable(self) -> LayerProbe | None:
        """The first layer whose probe is as good as the best one, within that one's interval, and so are all that
        follow up to it; None where even the best is within chance."""
        best = self.best
        if best.interval.low <= self.chance:
            return None
        upto = self.rows[: best.depth + 1]
        worse = [row.depth for row in upto if row.accuracy < best.interval.low]
        return self.rows[worse[-1] + 1] if worse else self.rows[0]

    def indifferent(self, row: LayerProbe, kind: str) -> float | None:
        """The largest amount of a kind of transform up to which a layer's pooled features stay the same (at least 0.9
        kept); None where the smallest already changes them."""
        return self._limit(row, kind, lambda kept: kept >= self.SAME)

    def sensitive(self, row: LayerProbe, kind: str) -> float | None:
        """The smallest amount from which on more than half of the likeness is lost; None where it never is."""
        amounts = [(amount, kept) for amount, kept in self._amounts(row, kind) if kept < self.LOST]
        return amounts[0][0] if amounts else None

    def text(self) -> str:
        """What was found, in plain sentences."""
        lines = [self._readability()]
        for kind in dict.fromkeys(kind for kind, _ in self.transforms):
            lines += [self._towards(self.rows[-1], kind), *self._along(kind)]
        return "\n".join([*lines, *self.notes])

    def table(self) -> list[dict[str, Any]]:
        """One row per layer for a table: depth, layer, accuracy, interval, and what is kept under each transform."""
        return [
            {
                "depth": row.depth, "layer": row.layer, "accuracy": row.accuracy, "interval": row.interval,
                **{
                    f"{kind} {amount:g}": float(kept)
                    for (kind, amount), kept in zip(self.transforms, row.kept(), strict=True)
                },
            }
            for row in self.rows
        ]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = jsonable(self)
        for row, values in zip(self.rows, found["rows"], strict=True):
            values["kept"], values["kept_by_place"] = jsonable((row.kept(), row.kept(pooled=False)))
        readable = self.readable
        return {**found, "readable": None if readable is None else readable.layer, "text": self.text()}

    def save(self, path: str | Path) -> None:
        """Write JSON; `LayerProbes.load` reads it back."""
        write_json(path, {"layer_probes": jsonable(self)})

    @classmethod
    def load(cls, path: str | Path) -> LayerProbes:
        """Read what `save` wrote.

        Raises:
            OpsinError: the file is missing or holds no LayerProbes.
        """
        read = read_json(path)
        try:
            values = read["layer_probes"]
            rows = tuple(
                LayerProbe(
                    **{
                        **row,
                        "interval": Interval(**row["interval"]),
                        "pooled_likeness": np.array(row["pooled_likeness"], np.float64),
                        "likeness": np.array(row["likeness"], np.float64),
                    }
                )
                for row in values["rows"]
            )
            pairs = tuple((str(kind), float(amount)) for kind, amount in values["transforms"])
            lists = {name: tuple(values[name]) for name in ("classes", "notes")}
            return cls(**{**values, **lists, "rows": rows, "transforms": pairs})
        except (KeyError, TypeError, ValueError) as error:
            raise OpsinError(
                f"{path} holds no LayerProbes of this version ({error}); measure the layers again"
            ) from error

    def _amounts(self, row: LayerProbe, kind: str) -> list[tuple[float, float]]:
        """(amount, kept) of one kind, from the least change to the largest."""
        pairs = [
            (amount, float(kept))
            for (name, amount), kept in zip(self.transforms, row.kept(), strict=True)
            if name == kind
        ]
        return sorted(pairs, key=lambda pair: abs(np.log(pair[0])) if kind == "scale" else pair[0])

    def _limit(self, row: LayerProbe, kind: str, good: Any) -> float | None:
        limit = None
        for amount, kept in self._amounts(row, kind):
            if not good(kept):
                break
            limit = amount
        return limit

    def _readability(self) -> str:
        first, best, pixels = self.readable, self.best, self.rows[0]
        if first is None:
            return f"the class is linearly readable nowhere: the best layer, {best.layer}, is within chance"
        where = "in the pixels already" if first.depth == 0 else f"at {first.layer}"
        from_pixels = "" if first.depth == 0 else f"; from the pixels {_percent(pixels.accuracy)}"
        return (
            f"the class is linearly readable {where}: {_percent(first.accuracy)} "
            f"[{_percent(first.interval.low)}, {_percent(first.interval.high)}]{from_pixels}; "
            f"best at {best.layer} with {_percent(best.accuracy)}, chance {_percent(self.chance)}"
        )

    def _towards(self, row: LayerProbe, kind: str) -> str:
        same, lost = self.indifferent(row, kind), self.sensitive(row, kind)
        at = self.transforms.index((kind, self._amounts(row, kind)[0][0]))
        pixels = self.rows[0].kept(pooled=False)[at]
        before = (
            f"{kind} by {_amount(kind, self.transforms[at][1])}: pixels keep {_percent(pixels)} of their likeness, "
        )
        before += f"{row.layer} {_percent(row.kept()[at])}; "
        indifferent = (
            f"indifferent to {kind} up to {_amount(kind, same)}" if same is not None else f"changed by any {kind}"
        )
        if lost is None:
            return f"{before}it is {indifferent}, and keeps more than half of its likeness under all that was tried"
        return f"{before}it is {indifferent}, and loses more than half of its likeness from {_amount(kind, lost)} on"

    def _along(self, kind: str) -> list[str]:
        """Which layers carry a transform along: the same features at other places."""
        amounts = self._amounts(self.rows[0], kind)
        amount = amounts[len(amounts) // 2][0]
        at = self.transforms.index((kind, amount))
        rows = [row for row in self.rows[1:] if row.pooled_spread < self.FLAT]
        moved = [row.layer for row in rows if row.kept()[at] >= self.SAME and row.kept(pooled=False)[at] < self.LOST]
        if not moved:
            return []
        return [f"{kind} by {_amount(kind, amount)} only moves the features of {', '.join(moved)} to other places"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _amount(kind: str, amount: float) -> str:
    if kind == "shift":
        return f"{100 * amount:.0f} % of the side"
    return f"{amount:g} degrees" if kind == "rotation" else f"x {amount:g}"
