"""Sheets of what is inside a network: dreams and how they came about, filters, feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from opsin.errors import OpsinError
from opsin.records import Dream, FeatureMaps, Filters, LayerMaps
from opsin.reporting.figures.colours import diverging, levels, sequential
from opsin.reporting.pictures.pieces import NARROWEST, Line, fitted, heading, number, tile
from opsin.reporting.pictures.sheet import GAP, MARGIN, NARROWEST_SHEET
from opsin.reporting.pictures.text import GROUND, INK, SMALL, SOFT, TITLE

WIDEST = 1488
FRAME_SIDE = 112  # of a frame of a film: large enough to see, small enough for twelve in a row
FILTER_SIDE, MAP_SIDE = 64, 96

Head = Sequence[tuple[str, int, str]]


def dream_sheet(found: Dream, *, columns: int | None = None, limit: int = 48) -> Image.Image:
    """The pictures that were dreamt, each with its activation and what random and real pictures reach.

    Args:
        found: what `opsin.inside.dream` gave.
        columns: pictures in a row; None: as many as are about 1,500 pixels wide.
        limit: only the first so many are shown; the head says of how many.

    Returns:
        An RGB image.

    Raises:
        OpsinError: a setting is out of range.
    """
    _check(columns, limit)
    tiles = []
    for at in range(min(limit, len(found))):
        picture = fitted(_image(found.pixels[at]))
        lines = [Line(found.labels[at], INK, keep_end=bool(found.layer)), Line(f"activation {number(found.final[at])}")]
        lines.append(Line(f"random: at most {number(found.noise[at].max())}"))
        if found.real is not None:
            lines.append(Line(f"real: at most {number(found.real[at].max())}"))
        tiles.append(tile(picture, lines, max(picture.width, NARROWEST)))
    total = len(found)
    shown = f"{len(tiles)} of {total} pictures" if len(tiles) < total else f"{total} pictures"
    steps = f"{shown}, {found.activations.shape[1]} steps, seed {found.seed}, colours of {found.options['colours']}"
    head = [(f"what excites {found.layer or 'the classes'} of {found.model} most", TITLE, INK), (steps, SMALL, SOFT)]
    return _sheet(tiles, columns, [*head, *((note, SMALL, SOFT) for note in found.notes)])


def dream_film(found: Dream, *, limit: int = 12) -> Image.Image:
    """How the pictures came about: one row per dream, one column per frame."""
    _check(None, limit)
    rows = []
    for at in range(min(limit, len(found))):
        for frame, step in zip(found.frames[at], found.steps, strict=True):
            # the activation of a frame is that of the step that begins with it; of the last one it is the final one
            reached = found.activations[at, step] if step < found.activations.shape[1] else found.final[at]
            picture = fitted(_image(frame), FRAME_SIDE)
            rows.append(tile(picture, [Line(f"step {step}", INK), Line(number(reached))], max(picture.width, 64)))
    head = [(f"{', '.join(found.labels[:limit])}", TITLE, INK), ("below each frame its activation", SMALL, SOFT)]
    return _sheet(rows, len(found.steps), head)


def filter_sheet(found: Filters, *, columns: int | None = None, limit: int = 128) -> Image.Image:
    """The kernels of a layer, in colours where they have three inputs, else one signed map of what their inputs share;
    all on one scale, so that a dead filter looks like one.

    Raises:
        OpsinError: a setting is out of range.
    """
    _check(columns, limit)
    colour = found.weights.shape[1] == 3
    values = found.weights if colour else found.luminance
    peak = float(np.abs(values).max()) or 1.0
    tiles = []
    for at in range(min(limit, len(found))):
        pixels = np.moveaxis(values[at], 0, -1) / peak * 127 + 128 if colour else _coloured(values[at], -peak, peak)
        picture = fitted(_image(np.clip(np.round(pixels), 0, 255).astype(np.uint8)), FILTER_SIDE)
        tiles.append(tile(picture, [Line(f"{at}", INK), Line(_filter_note(found, at))], max(picture.width, 76)))
    _, inputs, height, width = found.weights.shape
    scale = "mid-grey is 0" if colour else "blue below 0, orange above"
    said = f"{len(tiles)} of {len(found)} filters, {found.kind}, {inputs} x {height} x {width}; {scale}, "
    head = [(f"filters of {found.layer}", TITLE, INK), (f"{said}full colour {number(peak)}", SMALL, SOFT)]
    lines = found.text().splitlines()[1:]
    return _sheet(tiles, columns, [*head, *((line, SMALL, SOFT) for line in lines)])


def feature_sheet(
    found: FeatureMaps, layer: str, image: int = 0, *, columns: int | None = None, limit: int = 64
) -> Image.Image:
    """The maps of one layer for one image, all on one scale.

    Raises:
        OpsinError: there is no such layer or image, the layer has no places, or a setting is out of range.
    """
    _check(columns, limit)
    names = [item.name for item in found.layers]
    if layer not in names:
        raise OpsinError(f"no maps of {layer!r} are held; expected one of {', '.join(names)}")
    if not 0 <= image < len(found.names):
        raise OpsinError(
            f"image {image} was asked for, and there are {len(found.names)}; give 0 to {len(found.names) - 1}"
        )
    held = found[layer]
    if not held.spatial:
        raise OpsinError(f"{layer} has no places, and so no maps to draw; choose one with places")
    low, high = _scale(held)
    tiles = [
        tile(fitted(_image(_coloured(values, low, high)), MAP_SIDE), [Line(f"channel {channel}", INK)], MAP_SIDE)
        for channel, values in zip(held.channels[:limit].tolist(), held.maps[image, :limit], strict=True)
    ]
    said = (
        f"{len(tiles)} of {held.width} channels, {held.maps.shape[2]} x {held.maps.shape[3]} places, "
        f"{number(low)} to {number(high)}; {len(held.dead)} dead"
    )
    return _sheet(tiles, columns, [(f"{layer} for {found.names[image]}", TITLE, INK), (said, SMALL, SOFT)])


def _scale(layer: LayerMaps) -> tuple[float, float]:
    """The ends of the colour scale: symmetrical where there are values of both signs, so that 0 is neutral."""
    if layer.low >= 0:
        return 0.0, layer.high
    peak = max(abs(layer.low), abs(layer.high))
    return -peak, peak


def _coloured(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (diverging() if low < 0 else sequential())[levels(values, low, high)]


def _filter_note(found: Filters, at: int) -> str:
    if found.dead[at]:
        return "dead"
    if found.flat[at]:
        return "constant"
    if found.r2 is None or not np.isfinite(found.r2[at]):
        return number(found.norms[at])
    kind = "Gabor" if found.gabor_like[at] else "blob" if found.blob is not None and found.blob[at] else "R2"
    return f"{kind} {found.r2[at]:.2f}"


def _image(pixels: np.ndarray) -> Image.Image:
    """uint8 `(h, w, c)` as RGB; what is neither grey nor RGB is shown by its first channel or first three."""
    shown = pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    return Image.fromarray(np.ascontiguousarray(shown))


def _check(columns: int | None, limit: int) -> None:
    if (columns is not None and columns < 1) or limit < 1:
        raise OpsinError(f"columns={columns} and limit={limit} were given; expected at least 1 of each")


def _sheet(tiles: Sequence[Image.Image], columns: int | None, head: Head) -> Image.Image:
    width, height = tiles[0].size
    columns = min(columns or max(1, (WIDEST - 2 * MARGIN + GAP) // (width + GAP)), len(tiles))
    wide = max(columns * (width + GAP) - GAP, NARROWEST_SHEET)
    top_part = heading(head, wide)
    top = MARGIN + top_part.height + 8
    rows = -(-len(tiles) // columns)
    out = Image.new("RGB", (wide + 2 * MARGIN, top + rows * (height + GAP) - GAP + MARGIN), GROUND)
    out.paste(top_part, (MARGIN, MARGIN))
    for at, one in enumerate(tiles):
        row, column = divmod(at, columns)
        out.paste(one, (MARGIN + column * (width + GAP), top + row * (height + GAP)))
    return out
