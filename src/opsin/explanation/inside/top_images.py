"""`opsin.inside.top_images`: the images that excite the channels of a layer most, and how selective each channel is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from opsin.data.dataset import Dataset, Split
from opsin.errors import CheckFailed, OpsinError
from opsin.explanation.explain import as_classifier
from opsin.explanation.inside.crops import cut_crops
from opsin.explanation.inside.parts import require_module
from opsin.explanation.inside.poison import Network, open_network
from opsin.explanation.inside.receptive import fields_in
from opsin.explanation.inside.selectivity import MOST_KEPT, SHUFFLES, chance_control, selectivity_index
from opsin.explanation.inside.stream import Batch, Stream, drawn, open_stream
from opsin.explanation.known import in_faster_layout
from opsin.explanation.split import normal_mode
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier
from opsin.records import ReceptiveField, TopImages

FEWEST_PER_CLASS = 2


def top_images(
    model: Classifier | str | Path | nn.Module,
    data: Dataset | Split | Any,
    layer: str,
    channels: int | Sequence[int] | None = None,
    top: int = 9,
    *,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> TopImages:
    """Find the images, and the places in them, that excite the channels of a layer most.

    The images pass once in batches; of their activations only the leaders and sums are kept. An image is listed once
    per channel, at the place where the channel is largest; of exact copies the first one counts.

    Args:
        model: a Classifier, what `load_model` takes, or a module (images are then float tensors).
        data: a Dataset, a split of one, or images as `explain` takes them; those have no labels, and selectivity is
            then not measured.
        layer: a layer with places: feature maps or tokens.
        channels: which; None: all.
        top: images listed per channel.
        shuffles: of the labels, in the control of the selectivity.
        seed: of the shuffles.
        progress: told what is done, how many images are done, and how many there are.

    Returns:
        TopImages, with receptive fields in the input and in the originals, crops, and the selectivity for classes.

    Raises:
        OpsinError: there is no such layer or channel, it has no places, or there are no images.
        CheckFailed: the layer gives NaN.
    """
    classifier = require_module(as_classifier(model), "top_images")
    if top < 1 or shuffles < 1:
        raise OpsinError(f"top={top} and shuffles={shuffles} were given; expected at least 1 of each")
    stream = open_stream(classifier, data)
    first = next(stream.batches(most=1), None)
    if first is None:
        raise OpsinError(f"none of the {len(stream):,} images can be read; give others")
    network = open_network(classifier, layer, (first.inputs.shape[-2], first.inputs.shape[-1]))
    if network.grid is None:
        raise OpsinError(
            f"the output of {layer} has shape {network.shape} and no places of the picture; choose a layer before "
            "pooling and flattening"
        )
    wanted = _channels(network, channels)
    leaders, classes = _Leaders(len(wanted), top), _Classes(stream, len(wanted), seed)
    images, copies = _pass(stream, network, wanted, leaders, classes, progress)
    fields = _fields(network, wanted, leaders)
    listed, positions = np.unique(leaders.positions[leaders.positions >= 0], return_inverse=True)
    rows = np.full(leaders.positions.shape, -1, np.int64)
    rows[leaders.positions >= 0] = positions
    boxes = np.zeros((*rows.shape, 4), np.int64)
    for place, found in fields.items():
        boxes[place] = found.shown or (0, 0, 0, 0)
    crops = cut_crops(stream, leaders.positions, boxes, leaders.places, fields, network)
    measured, notes = classes.finish(shuffles)
    local = bool(network.ignored) and all(found.local is not None for found in fields.values())
    return TopImages(
        layer=layer,
        grid=(network.grid.height, network.grid.width),
        size=network.size,
        channels=wanted,
        names=tuple(stream.names[at] for at in listed.tolist()),
        positions=rows,
        values=leaders.values,
        places=leaders.places,
        boxes=boxes,
        field="local" if local else "structural",
        ignored=network.ignored,
        dead=wanted[leaders.dead],
        images=images,
        copies=copies,
        unreadable=len(stream.unreadable),
        crops=crops.pixels,
        inside=crops.inside,
        cells=crops.cells,
        originals=crops.originals,
        notes=(*notes, *crops.notes),
        **measured,
    )


def _channels(network: Network, channels: int | Sequence[int] | None) -> np.ndarray:
    assert network.grid is not None
    count = network.grid.maps(torch.empty(network.shape, device="meta")).shape[1]
    if channels is None:
        return np.arange(count)
    wanted = np.unique([channels] if isinstance(channels, int) else list(channels))
    if not len(wanted) or wanted.dtype.kind not in "iu" or wanted.min() < 0 or wanted.max() >= count:
        raise OpsinError(f"channels was given as {channels}; expected numbers from 0 to {count - 1} of {network.layer}")
    return wanted.astype(np.int64)


def _pass(
    stream: Stream, network: Network, channels: np.ndarray, leaders: _Leaders, classes: _Classes,
    progress: Progress | None,
) -> tuple[int, int]:  # fmt: skip
    """Show every image to the network once; returns how many counted, and how many copies did not."""
    seen: set[str] = set()
    copies = 0
    picked = torch.from_numpy(channels)
    for batch in stream.batches():
        fresh = _fresh(stream, batch, seen)
        copies += len(batch.positions) - len(fresh)
        if not len(fresh):
            continue
        with normal_mode(), torch.no_grad():
            inputs = in_faster_layout(stream.model, batch.inputs[torch.from_numpy(fresh).to(batch.inputs.device)])
            maps = network.maps(inputs, local=False)
            maps = (maps if len(channels) == maps.shape[1] else maps[:, picked.to(maps.device)]).float()
            peaks, places = maps.flatten(2).max(dim=2)
            activity = maps.clamp(min=0).mean(dim=(2, 3)).cpu().numpy()
        if not bool(torch.isfinite(peaks).all()):
            raise CheckFailed(f"{network.layer} gives values that are not finite; the weights are damaged or diverged")
        columns = maps.shape[3]
        at = places.cpu().numpy()
        leaders.add(batch.positions[fresh], peaks.cpu().numpy(), np.stack([at // columns, at % columns], axis=2))
        classes.add(batch.positions[fresh], activity)
        if progress is not None:
            progress("looking", int(batch.positions[-1]) + 1, len(stream))
    return len(seen), copies


def _fresh(stream: Stream, batch: Batch, seen: set[str]) -> np.ndarray:
    """int64: the rows of a batch that are no copies of what was seen before."""
    hashes = batch.hashes() if stream.hashes is None else [stream.hashes[at] for at in batch.positions.tolist()]
    fresh = []
    for row, content in enumerate(hashes):
        if content not in seen:
            seen.add(content)
            fresh.append(row)
    return np.array(fresh, np.int64)


@dataclass
class _Leaders:
    """The largest values of each channel so far; of equal ones the earlier image leads."""

    channels: int
    top: int
    values: np.ndarray = field(init=False)
    positions: np.ndarray = field(init=False)
    places: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.values = np.full((self.channels, self.top), -np.inf, np.float32)
        self.positions = np.full((self.channels, self.top), -1, np.int64)
        self.places = np.zeros((self.channels, self.top, 2), np.int64)

    def add(self, positions: np.ndarray, peaks: np.ndarray, places: np.ndarray) -> None:
        """`peaks` `(m, c)` and `places` `(m, c, 2)` of m images."""
        values = np.concatenate([self.values, peaks.T.astype(np.float32)], axis=1)
        images = np.concatenate([self.positions, np.broadcast_to(positions, (self.channels, len(positions)))], axis=1)
        where = np.concatenate([self.places, places.transpose(1, 0, 2)], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, : self.top]
        self.values = np.take_along_axis(values, order, axis=1)
        self.positions = np.take_along_axis(images, order, axis=1)
        self.places = np.take_along_axis(where, order[..., None], axis=1)

    @property
    def dead(self) -> np.ndarray:
        """bool `(c,)`: never above zero."""
        return self.values[:, 0] <= 0


class _Classes:
    """Sums of activity per class, and the activity of a bounded number of images for the control."""

    def __init__(self, stream: Stream, channels: int, seed: int) -> None:
        self.labels, self.names, self.seed = stream.labels, stream.classes, seed
        self.sums = np.zeros((len(self.names), channels))
        self.counts = np.zeros(len(self.names), np.int64)
        self.kept = np.zeros(len(stream), bool)
        self.kept[drawn(len(stream), max(MOST_KEPT // channels, 1), seed)] = True
        self.activity: list[np.ndarray] = []
        self.of: list[np.ndarray] = []

    def add(self, positions: np.ndarray, activity: np.ndarray) -> None:
        if self.labels is None:
            return
        labels = self.labels[positions]
        np.add.at(self.sums, labels, activity)
        self.counts += np.bincount(labels, minlength=len(self.counts))
        kept = self.kept[positions]
        self.activity.append(activity[kept])
        self.of.append(labels[kept])

    def finish(self, shuffles: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The fields of the record that need labels, and notes."""
        if self.labels is None:
            return {}, ("the images have no labels: selectivity for classes was not measured",)
        known = np.flatnonzero(self.counts >= FEWEST_PER_CLASS)
        if len(known) < 2:
            return {}, (f"fewer than two classes have {FEWEST_PER_CLASS} images: selectivity was not measured",)
        means = np.zeros(self.sums.T.shape)
        present = self.counts > 0
        means[:, present] = (self.sums[present] / self.counts[present, None]).T
        index, preferred = selectivity_index(means[:, known])
        labels = np.concatenate(self.of)
        counted = np.isin(labels, known)
        p_values, protocol = chance_control(
            np.concatenate(self.activity)[counted], labels[counted], shuffles, self.seed
        )
        left = [self.names[at] for at in np.flatnonzero(present & (self.counts < FEWEST_PER_CLASS))]
        notes = (f"classes with a single image are no part of the selectivity: {', '.join(left)}",) if left else ()
        found = {
            "classes": self.names, "class_means": means, "selectivity": index, "preferred": known[preferred],
            "p_values": p_values, "protocol": protocol,
        }  # fmt: skip
        return found, notes


def _fields(network: Network, channels: np.ndarray, leaders: _Leaders) -> dict[tuple[int, int], ReceptiveField]:
    """The receptive field of every listed place: by row and column of the list."""
    listed = [(int(row), int(at)) for row, at in np.argwhere(leaders.positions >= 0)]
    units = [(int(channels[row]), *leaders.places[row, at].tolist()) for row, at in listed]
    different = list(dict.fromkeys(units))
    known = dict(zip(different, fields_in(network, different), strict=True))
    return {place: known[unit] for place, unit in zip(listed, units, strict=True)}
