"""A contact sheet: many images with one method's maps on them."""

from __future__ import annotations

from PIL import Image

from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.records.evidence import NOT_CHECKED
from opsin.reporting.pictures.pieces import (
    BAR_HEIGHT,
    GAP,
    LINE,
    MARGIN,
    NARROWEST,
    SCALE_NOTES,
    Line,
    Scale,
    badge,
    colour_bar,
    drawn,
    heading,
    method_line,
    range_text,
    shown_size,
    target_text,
    tile,
)
from opsin.reporting.pictures.text import GROUND, INK, SMALL, SOFT, TITLE, image_label, undrawn

WIDEST, NARROWEST_SHEET = 1488, 320  # six pictures of 224 pixels; a head that can be read
BAR_WIDTH = 320


def contact_sheet(
    explanation: Explanation,
    *,
    verdict: str = NOT_CHECKED,
    columns: int | None = None,
    limit: int = 48,
    scale: Scale = "image",
    total: int = 0,
) -> Image.Image:
    """Overlays side by side, each with its name, its class and the range of its map; a colour bar at the foot.

    Args:
        explanation: the maps.
        verdict: of `Evidence.verdict`, shown as a badge.
        columns: images in a row; None: as many as are about 1,500 pixels wide.
        limit: only the first so many are shown; the head says of how many.
        scale: the full colour stands for each map's own magnitude ("image"), or for the largest of all ("column").
        total: how many images there are, where the explanation holds only some of them.

    Returns:
        An RGB image.

    Raises:
        OpsinError: there is nothing to show, or a setting is out of range.
    """
    if (columns is not None and columns < 1) or limit < 1:
        raise OpsinError(f"columns={columns} and limit={limit} were given; expected at least 1 of each")
    if not len(explanation):
        raise OpsinError("the explanation holds no images; explain one or more")
    part = explanation.rows(range(min(limit, len(explanation))))
    width = max(shown_size(part)[0], NARROWEST)
    columns = min(columns or max(1, (WIDEST - 2 * MARGIN + GAP) // (width + GAP)), len(part))
    tiles = [tile(picture, _caption(part, position), width) for position, picture in enumerate(drawn(part, scale))]
    wide = max(columns * (width + GAP) - GAP, NARROWEST_SHEET)
    head, foot = (
        heading(_head(part, max(total, len(explanation))), wide),
        heading([(SCALE_NOTES[scale], SMALL, SOFT)], wide),
    )
    top, step = MARGIN + head.height + LINE + 8, tiles[0].height + GAP
    bar_top = top + -(-len(part) // columns) * step
    size = (wide + 2 * MARGIN, bar_top + BAR_HEIGHT + 4 + foot.height + MARGIN)
    out = Image.new("RGB", size, GROUND)
    out.paste(head, (MARGIN, MARGIN))
    out.paste(badge(verdict, wide), (MARGIN, MARGIN + head.height))
    for position, one in enumerate(tiles):
        row, column = divmod(position, columns)
        out.paste(one, (MARGIN + column * (width + GAP), top + row * step))
    out.paste(colour_bar(part, scale, min(wide, BAR_WIDTH)), (MARGIN, bar_top))
    out.paste(foot, (MARGIN, bar_top + BAR_HEIGHT + 4))
    return out


def _caption(explanation: Explanation, position: int) -> list[Line]:
    return [
        Line(target_text(explanation, position), INK),
        Line(range_text(explanation, position)),
        Line(image_label(explanation.names[position], position), keep_end=True),
    ]


def _head(part: Explanation, total: int) -> list[tuple[str, int, str]]:
    images = f"{len(part):,} of {total:,} images" if len(part) < total else f"{total:,} images"
    lines = [(method_line(part), TITLE, INK), (images, SMALL, SOFT)]
    notes = [note for note in (undrawn(part), *part.notes) if note]
    return [*lines, *((note, SMALL, SOFT) for note in notes)]
