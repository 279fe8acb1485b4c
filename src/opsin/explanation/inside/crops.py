"""Cutting receptive fields out of the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from opsin.explanation.inside.poison import Network
from opsin.explanation.inside.stream import Batch, Stream
from opsin.records import ReceptiveField

MOST_BYTES = 64 * 2**20
GREY = 128


@dataclass(frozen=True)
class Crops:
    """See the attributes of the same names in TopImages; `pixels` are its crops."""

    pixels: np.ndarray
    inside: np.ndarray
    cells: np.ndarray
    originals: np.ndarray | None
    notes: tuple[str, ...]


def cut_crops(
    stream: Stream, positions: np.ndarray, boxes: np.ndarray, places: np.ndarray,
    fields: Mapping[tuple[int, int], ReceptiveField], network: Network,
) -> Crops:  # fmt: skip
    """The crops of images `positions` `(c, k)` (-1: none) in `boxes` `(c, k, 4)`, opened again a few at a time.

    Of fields that are as large as the picture whole images are kept, so that only so many channels fit.
    """
    height, width = _canvas(fields, network.size)
    channels, top = positions.shape
    held = int(np.clip(MOST_BYTES // max(top * height * width * 3, 1), 1, channels))
    pixels = np.full((held, top, height, width, 3), GREY, np.uint8)
    inside, cells = np.zeros((2, held, top, 4), np.int64)
    geometry = np.full((*positions.shape, 4), np.nan)
    wanted = np.unique(positions[positions >= 0])
    for batch in stream.batches(wanted):
        pictures = _pictures(stream, batch)
        for at, position in enumerate(batch.positions.tolist()):
            for row, column in np.argwhere(positions == position).tolist():
                if batch.geometry is not None:
                    geometry[row, column] = batch.geometry[at]
                if row >= held:
                    continue
                box, free = boxes[row, column], fields[row, column].unclipped
                shift = _shift(box, free, (height, width))
                part = _moved(box, shift)
                inside[row, column], cells[row, column] = part, _moved(_cell(places[row, column], network), shift)
                cut = pictures[at, box[0] : box[2], box[1] : box[3]]
                pixels[row, column, part[0] : part[2], part[1] : part[3]] = cut
    notes = () if held == channels else (f"crops of the first {held} of {channels} channels are kept",)
    originals = None if np.isnan(geometry).all() else _in_originals(boxes, geometry, network.size)
    return Crops(pixels, inside, cells, originals, notes)


def _canvas(fields: Mapping[tuple[int, int], ReceptiveField], size: tuple[int, int]) -> tuple[int, int]:
    """Height and width that every crop fits into: of the largest field, and no more than the picture's."""
    boxes = [found.unclipped or found.shown for found in fields.values()]
    sides = [(box[2] - box[0], box[3] - box[1]) for box in boxes if box is not None] or [(1, 1)]
    return tuple(min(max(side[axis] for side in sides), size[axis]) for axis in (0, 1))  # type: ignore[return-value]


def _shift(box: np.ndarray, free: tuple[int, int, int, int] | None, canvas: tuple[int, int]) -> tuple[int, int]:
    """How far an input pixel lies from its place on the crop: with the field where a border would not be in the way."""
    found = []
    for axis in (0, 1):
        start = int(box[axis])
        if free is not None and free[axis + 2] - free[axis] <= canvas[axis]:
            start = free[axis]
        found.append(start)
    return found[0], found[1]


def _moved(box: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    return box - np.array([*shift, *shift])


def _cell(place: np.ndarray, network: Network) -> np.ndarray:
    """The part of the input that a place stands for, when the grid is laid evenly over it."""
    assert network.grid is not None
    scale = np.array(network.size) / (network.grid.height, network.grid.width)
    return np.concatenate([np.floor(place * scale), np.ceil((place + 1) * scale)]).astype(np.int64)


def _in_originals(boxes: np.ndarray, geometry: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float64 `(c, k, 4)`: boxes of the input in the pixels of the original pictures."""
    start, end = geometry[..., :2], geometry[..., 2:]
    scale = (end - start) / np.array(size)
    return np.nan_to_num(np.concatenate([start + boxes[..., :2] * scale, start + boxes[..., 2:] * scale], axis=-1))


def _pictures(stream: Stream, batch: Batch) -> np.ndarray:
    """uint8 RGB `(m, h, w, 3)` of a batch; of float tensors without a Preprocess each scaled to its own range."""
    pixels, preprocess = batch.pixels, stream.model.preprocess
    if pixels is None and preprocess is not None:
        pixels = preprocess.denormalise(batch.inputs)
    if pixels is None:
        values = batch.inputs.float().cpu()
        low, high = values.amin(dim=(1, 2, 3), keepdim=True), values.amax(dim=(1, 2, 3), keepdim=True)
        pixels = ((values - low) / (high - low).clamp(min=1e-12) * 255).round().to(torch.uint8)
        pixels = pixels.permute(0, 2, 3, 1).numpy()
    return np.repeat(pixels[..., :1], 3, axis=-1) if pixels.shape[-1] < 3 else pixels[..., :3]
