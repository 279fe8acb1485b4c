"""A grid: one row per image, one column per method, with each method's verdict."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.records.evidence import NOT_CHECKED
from opsin.reporting.pictures.overlays import display_pixels
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
    fitted,
    heading,
    range_text,
    shown_size,
    target_text,
    tile,
)
from opsin.reporting.pictures.text import BODY, GROUND, INK, SMALL, SOFT, image_label, undrawn


def method_grid(
    explanations: Sequence[Explanation],
    *,
    verdicts: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    limit: int = 24,
    scale: Scale = "image",
) -> Image.Image:
    """Several explanations of the same images: rows are images, columns methods (or classes, or layers).

    Args:
        explanations: of the same images, in the same order.
        verdicts: of `Evidence.verdict`, one per explanation; None: *not checked yet*.
        titles: of the columns; None: the methods' names.
        limit: only the first so many images are shown.
        scale: the full colour stands for each map's own magnitude ("image"), or for the column's largest ("column").

    Returns:
        An RGB image.

    Raises:
        OpsinError: the images differ, or there are more or fewer verdicts or titles than explanations.
    """
    _check(explanations, verdicts, titles, limit)
    parts = [item.rows(range(min(limit, len(item)))) for item in explanations]
    width = max(shown_size(parts[0])[0], NARROWEST)
    heads = [
        _head(item, titles[at] if titles else item.method, verdicts[at] if verdicts else NOT_CHECKED, width)
        for at, item in enumerate(parts)
    ]
    same = _same_targets(parts)
    columns = [_pictures(parts[0], same, width), *(_maps(item, same, scale, width) for item in parts)]
    notes = [(note, SMALL, SOFT) for note in (SCALE_NOTES[scale], undrawn(parts[0])) if note]
    foot = heading(notes, (width + GAP) * len(columns) - GAP)
    top, step = MARGIN + max(head.height for head in heads) + 8, columns[0][0].height + GAP
    bar_top = top + len(parts[0]) * step
    size = (foot.width + 2 * MARGIN, bar_top + BAR_HEIGHT + 8 + foot.height + MARGIN)
    out = Image.new("RGB", size, GROUND)
    for at, column in enumerate(columns):
        left = MARGIN + at * (width + GAP)
        for row, one in enumerate(column):
            out.paste(one, (left, top + row * step))
        if at:
            out.paste(heads[at - 1], (left, MARGIN))
            out.paste(colour_bar(parts[at - 1], scale, width), (left, bar_top))
    out.paste(foot, (MARGIN, bar_top + BAR_HEIGHT + 8))
    return out


def _check(
    explanations: Sequence[Explanation], verdicts: Sequence[str] | None, titles: Sequence[str] | None, limit: int
) -> None:
    if not explanations or not len(explanations[0]) or limit < 1:
        raise OpsinError("there is nothing to show; give one or more explanations of one or more images")
    for name, given in (("verdicts", verdicts), ("titles", titles)):
        if given is not None and len(given) != len(explanations):
            raise OpsinError(f"{len(given)} {name} were given for {len(explanations)} explanations; give one for each")
    first = explanations[0]
    for other in explanations[1:]:
        if other.names != first.names or other.maps.shape != first.maps.shape:
            raise OpsinError(
                f"the explanations {first.method} and {other.method} are of different images "
                f"({len(first)} and {len(other)}); explain the same images in the same order"
            )


def _head(explanation: Explanation, title: str, verdict: str, width: int) -> Image.Image:
    lines = [(title, BODY, INK), (explanation.layer or "at the input", SMALL, SOFT)]
    text = heading(lines, width)
    out = Image.new("RGB", (width, text.height + LINE), GROUND)
    out.paste(text, (0, 0))
    out.paste(badge(verdict, width), (0, text.height))
    return out


def _same_targets(parts: Sequence[Explanation]) -> bool:
    """Whether all columns explain the same score of each image."""
    first = [_scores(parts[0], row) for row in range(len(parts[0]))]
    return all([_scores(item, row) for row in range(len(item))] == first for item in parts[1:])


def _scores(explanation: Explanation, row: int) -> tuple[int, int | None]:
    against = explanation.against
    return int(explanation.targets[row]), None if against is None else int(against[row])


def _pictures(first: Explanation, same: bool, width: int) -> list[Image.Image]:
    """The images themselves, with the class where all columns explain the same one."""
    tiles = []
    for row, pixels in enumerate(display_pixels(first)):
        name = Line(image_label(first.names[row], row), keep_end=True)
        lines = [Line(target_text(first, row), INK), name] if same else [name, Line("")]
        grey = pixels.shape[2] == 1
        picture = Image.fromarray(pixels[..., 0] if grey else pixels).convert("RGB")
        tiles.append(tile(fitted(picture), lines, width))
    return tiles


def _maps(explanation: Explanation, same: bool, scale: Scale, width: int) -> list[Image.Image]:
    """The overlays, with the range of each map, and the class where the columns explain different ones."""
    tiles = []
    for row, picture in enumerate(drawn(explanation, scale)):
        range_line = Line(range_text(explanation, row))
        lines = [range_line, Line("")] if same else [Line(target_text(explanation, row), INK), range_line]
        tiles.append(tile(picture, lines, width))
    return tiles
