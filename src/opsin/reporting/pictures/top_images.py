"""A sheet of crops: per channel of a layer what excites it most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from opsin.errors import OpsinError
from opsin.records import TopImages
from opsin.reporting.figures.images import tile
from opsin.reporting.pictures.pieces import LINE, heading, number
from opsin.reporting.pictures.sheet import GAP, MARGIN, NARROWEST_SHEET
from opsin.reporting.pictures.text import ACCENT, GROUND, INK, SMALL, SOFT, TITLE, find_font, shorten, write

CROP_SIDE = 96
"""A crop is shown at most so large."""
WIDEST = 1488
BETWEEN = 2  # pixels between crops


def top_images_sheet(
    found: TopImages, channels: Sequence[int] | None = None, *, limit: int = 16, columns: int | None = None
) -> Image.Image:
    """The crops of some channels, the strongest first, with a thin frame around the place of the unit where the crop
    is much larger than that.

    Args:
        found: what `opsin.inside.top_images` gave.
        channels: which; None: those that are selective, most selective first, then the others in order; dead ones last.
        limit: only the first so many are shown; the head says of how many.
        columns: channels in a row; None: as many as are about 1,500 pixels wide.

    Returns:
        An RGB image.

    Raises:
        OpsinError: no crops are kept of a channel, or a setting is out of range.
    """
    if limit < 1 or (columns is not None and columns < 1):
        raise OpsinError(f"limit={limit} and columns={columns} were given; expected at least 1 of each")
    rows = _rows(found, channels)
    blocks = [_block(found, row) for row in rows[:limit]]
    width, height = blocks[0].size
    columns = min(columns or max(1, (WIDEST - 2 * MARGIN + GAP) // (width + GAP)), len(blocks))
    wide = max(columns * (width + GAP) - GAP, NARROWEST_SHEET)
    head = heading(_head(found, len(blocks), len(rows)), wide)
    top = MARGIN + head.height + 8
    out = Image.new(
        "RGB", (wide + 2 * MARGIN, top + -(-len(blocks) // columns) * (height + GAP) + MARGIN - GAP), GROUND
    )
    out.paste(head, (MARGIN, MARGIN))
    for at, block in enumerate(blocks):
        row, column = divmod(at, columns)
        out.paste(block, (MARGIN + column * (width + GAP), top + row * (height + GAP)))
    return out


def _rows(found: TopImages, channels: Sequence[int] | None) -> list[int]:
    """Rows of the record, in the order in which they are drawn."""
    held = len(found.crops)
    if channels is None:
        index = np.zeros(len(found)) if found.selectivity is None else found.selectivity
        dead = np.isin(found.channels, found.dead)
        order = np.lexsort((np.arange(len(found)), -index * found.selective, dead))
        return [int(row) for row in order if row < held]
    known = {int(channel): row for row, channel in enumerate(found.channels[:held])}
    for channel in channels:
        if channel not in known:
            raise OpsinError(
                f"no crops of channel {channel} are kept; expected channels among those of the record's first {held}: "
                f"call top_images(..., channels=[{channel}])"
            )
    if not len(channels):
        raise OpsinError("no channels were given; name one or more, or None for all")
    return [known[channel] for channel in channels]


def _block(found: TopImages, row: int) -> Image.Image:
    """One channel: its crops, nine in three rows, and what it is selective for."""
    listed = np.flatnonzero(found.positions[row] >= 0)
    zoom = _zoom(found.crops.shape[2:4])
    crops = [_crop(found, row, at, zoom) for at in range(found.crops.shape[1])]
    blank = np.full_like(crops[0], _ground())
    shown = np.stack([crop if at in listed else blank for at, crop in enumerate(crops)])
    across = int(np.ceil(np.sqrt(len(shown))))
    picture = Image.fromarray(_spaced(shown, across))
    out = Image.new("RGB", (max(picture.width, 150), picture.height + 4 + 3 * LINE), GROUND)
    out.paste(picture, (0, 0))
    draw = ImageDraw.Draw(out)
    for line, (text, colour) in enumerate(_caption(found, row, listed)):
        write(draw, (0, picture.height + 3 + line * LINE), shorten(text, out.width, SMALL), SMALL, colour)
    return out


def _spaced(crops: np.ndarray, across: int) -> np.ndarray:
    """Crops uint8 `(n, h, w, 3)` side by side on the ground colour."""
    framed = np.empty((len(crops), crops.shape[1] + BETWEEN - 1, crops.shape[2] + BETWEEN - 1, 3), np.uint8)
    framed[:] = _ground()
    framed[:, : crops.shape[1], : crops.shape[2]] = crops
    whole = tile(framed, across, 0)
    # the pixel that `tile` puts between them
    height, width = framed.shape[1:3]
    whole[height :: height + 1] = _ground()
    whole[:, width :: width + 1] = _ground()
    return whole


def _ground() -> np.ndarray:
    return np.array([int(GROUND[at : at + 2], 16) for at in (1, 3, 5)], np.uint8)


def _zoom(size: tuple[int, ...]) -> float:
    """How much larger a crop is shown: whole steps of small ones."""
    largest = max(size)
    return CROP_SIDE // largest if largest <= CROP_SIDE else CROP_SIDE / largest


def _crop(found: TopImages, row: int, at: int, zoom: float) -> np.ndarray:
    pixels, part = found.crops[row, at].copy(), found.inside[row, at]
    outside = np.ones(pixels.shape[:2], bool)
    outside[part[0] : part[2], part[1] : part[3]] = False
    pixels[outside] = _ground()  # no picture there: the receptive field reaches beyond the border
    size = (max(1, round(pixels.shape[1] * zoom)), max(1, round(pixels.shape[0] * zoom)))
    way = Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.LANCZOS
    picture = Image.fromarray(pixels).resize(size, way)
    cell = found.cells[row, at]
    if (cell[2] - cell[0]) * 3 < pixels.shape[0] and max(pixels.shape[:2]) > CROP_SIDE // 2:
        box = [round(float(edge) * zoom) for edge in (cell[1], cell[0], cell[3], cell[2])]
        ImageDraw.Draw(picture).rectangle(box, outline=ACCENT)
    return np.asarray(picture)


def _caption(found: TopImages, row: int, listed: np.ndarray) -> list[tuple[str, str]]:
    channel = int(found.channels[row])
    if channel in found.dead:
        return [(f"channel {channel}", INK), ("dead: never above zero", SOFT)]
    values = found.values[row, listed]
    span = f"{number(values[0])} to {number(values[-1])}" if len(values) > 1 else number(values[0])
    lines = [(f"channel {channel}", INK), (span, SOFT)]
    if found.preferred is not None and found.selectivity is not None:
        name = " ".join(found.classes[found.preferred[row]].split())
        name = name if name and find_font(name, SMALL) else f"class {found.preferred[row]}"
        index = f"{found.selectivity[row]:.2f}"
        lines.append(
            (f"selective for {name}: {index}", INK)
            if found.selective[row]
            else (f"no class stands out ({index})", SOFT)
        )
    return lines


def _head(found: TopImages, shown: int, total: int) -> list[tuple[str, int, str]]:
    channels = f"{shown} of {total} channels" if shown < total else f"{total} channels"
    lines = [(f"what excites {found.layer} most", TITLE, INK), (f"{channels}, {found.images:,} images", SMALL, SOFT)]
    if found.field == "local":
        lines.append(("receptive fields without gates and statistics of the whole picture", SMALL, SOFT))
    if found.selectivity is not None:
        lines.append(("class and its selectivity index (0 to 1), where chance does not explain it", SMALL, SOFT))
    return [*lines, *((note, SMALL, SOFT) for note in found.notes)]
