"""A grid: one row per image, one column per method, with each method's verdict."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.reporting.pictures.overlays import display_pixels
from opsin.reporting.pictures.pieces import (
    BAR_HEIGHT,
    LINE,
    NARROWEST,
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

MARGIN, GAP = 24, 16


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
        verdicts: of `Evidence.verdict`, one per explanation; None: no badges.
        titles: of the columns; None: the methods' names.
        limit: only the first so many images are shown.
        scale: the full colour stands for each map's own largest magnitude ("image"), or for the column's ("column").

    Returns:
        An RGB image.

    Raises:
        OpsinError: the images differ, or there are more or fewer verdicts or titles than explanations.
    """
    _check(explanations, verdicts, titles, limit)
    first = explanations[0]
    count = min(limit, len(first))
    width = max(shown_size(first)[0], NARROWEST)
    heads = [
        _head(item, titles[at] if titles else item.method, verdicts[at] if verdicts else None, width)
        for at, item in enumerate(explanations)
    ]
    columns = [_pictures(first, explanations, count, width)]
    columns += [_maps(item, scale, count, width) for item in explanations]
    note = undrawn(first)
    foot = [heading([(note, SMALL, SOFT)], (width + GAP) * len(columns) - GAP)] if note else []
    head_height, step = max(head.height for head in heads), columns[0][0].height + GAP
    top = MARGIN + head_height + 8
    size = (
        2 * MARGIN + len(columns) * (width + GAP) - GAP,
        top + count * step + BAR_HEIGHT + MARGIN + sum(item.height for item in foot),
    )
    out = Image.new("RGB", size, GROUND)
    for at, column in enumerate(columns):
        left = MARGIN + at * (width + GAP)
        for row, one in enumerate(column):
            out.paste(one, (left, top + row * step))
        if at:
            out.paste(heads[at - 1], (left, MARGIN))
            out.paste(colour_bar(explanations[at - 1], scale, width), (left, top + count * step))
    for item in foot:
        out.paste(item, (MARGIN, top + count * step + BAR_HEIGHT + 8))
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


def _head(explanation: Explanation, title: str, verdict: str | None, width: int) -> Image.Image:
    lines = [(title, BODY, INK), (explanation.layer or "at the input", SMALL, SOFT)]
    text = heading(lines, width)
    if verdict is None:
        return text
    out = Image.new("RGB", (width, text.height + LINE), GROUND)
    out.paste(text, (0, 0))
    out.paste(badge(verdict, width), (0, text.height))
    return out


def _same_targets(explanations: Sequence[Explanation]) -> bool:
    first = explanations[0]
    return all(
        (item.targets == first.targets).all() and (item.against is None) == (first.against is None)
        for item in explanations
    )


def _pictures(first: Explanation, explanations: Sequence[Explanation], count: int, width: int) -> list[Image.Image]:
    """The images themselves, with their class where all columns explain the same one."""
    same = _same_targets(explanations)
    return [
        tile(
            fitted(Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).convert("RGB")),
            [
                Line(target_text(first, row) if same else "", INK),
                Line(image_label(first.names[row], row), keep_end=True),
            ],
            width,
        )
        for row, pixels in enumerate(display_pixels(first.rows(range(count))))
    ]


def _maps(explanation: Explanation, scale: Scale, count: int, width: int) -> list[Image.Image]:
    return [
        tile(picture, [Line(range_text(explanation, row)), Line(target_text(explanation, row))], width)
        for row, picture in enumerate(drawn(explanation, scale, count))
    ]
