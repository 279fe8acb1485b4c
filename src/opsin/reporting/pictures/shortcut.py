"""A shortcut as a picture: where the class's maps gather, what exchanging the place does, and where methods look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from opsin.records import Explanation, Shortcut
from opsin.reporting.figures.colours import diverging, levels
from opsin.reporting.pictures.pieces import GAP, LINE, MARGIN, Line, drawn, fitted, heading, tile
from opsin.reporting.pictures.text import ACCENT, BODY, GROUND, INK, SMALL, SOFT, TITLE, find_font, width_of

SIDE = 112  # of an example
METHOD_COLUMNS = 6  # overlays in a row of methods


def shortcut_sheet(
    shortcut: Shortcut, explanations: Sequence[Explanation] = (), captions: Sequence[str] = ()
) -> Image.Image:
    """The class's mean map beside images of the class with and without the place, and of other classes without and with
    it, each with what the network calls it; below, the first map of each explanation, with a caption.

    Args:
        shortcut: what was found.
        explanations: of images of the class, one per method.
        captions: what stands under each of them.

    Returns:
        An RGB image; the place is framed in every picture.
    """
    rows = _examples(shortcut)
    maps = _methods(shortcut, explanations, captions)
    side = _mean_map(shortcut)
    width = max(side.width + GAP + rows.width, maps.width if maps else 0)
    lines = [("Recognised by a mark" if shortcut.used else "A mark that is hardly used", TITLE, INK)]
    head = heading([*lines, *((line, BODY, INK) for line in _wrapped(_words(shortcut), width))], width)
    top = MARGIN + head.height + GAP
    below = top + max(side.height, rows.height) + GAP
    height = below + (maps.height if maps else 0) + MARGIN
    out = Image.new("RGB", (width + 2 * MARGIN, height), GROUND)
    out.paste(head, (MARGIN, MARGIN))
    out.paste(side, (MARGIN, top))
    out.paste(rows, (MARGIN + side.width + GAP, top))
    if maps:
        out.paste(maps, (MARGIN, below))
    return out


def framed(picture: Image.Image, shortcut: Shortcut) -> Image.Image:
    """A copy of a picture of the whole input, at whatever scale, with a frame around the place."""
    out = picture.convert("RGB")
    height, width = shortcut.size
    down, across = out.height / height, out.width / width
    top, left, bottom, right = shortcut.region
    box = (left * across - 1, top * down - 1, right * across, bottom * down)
    draw = ImageDraw.Draw(out)
    draw.rectangle((box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2), outline=GROUND, width=2)
    draw.rectangle(box, outline=ACCENT, width=2)
    return out


def _words(shortcut: Shortcut) -> str:
    text = shortcut.text()
    name = shortcut.class_name
    return text if find_font(name, BODY) else text.replace(f'"{name}"', f"class {shortcut.label}")


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, BODY) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _mean_map(shortcut: Shortcut) -> Image.Image:
    high = float(np.abs(shortcut.map).max())
    picture = fitted(Image.fromarray(diverging()[levels(shortcut.map, -high, high)]), 2 * SIDE)
    caption = [
        Line("mean map of the class", INK),
        Line(f"{-high:.2g} to {high:.2g}, orange speaks for it"),
        Line(f"{100 * shortcut.gathered.value:.0f} % of what speaks for it lies in"),
        Line(f"the frame; of other classes' {100 * shortcut.gathered_others.value:.0f} %"),
    ]
    return tile(framed(picture, shortcut), caption, max(picture.width, 2 * SIDE))


def _examples(shortcut: Shortcut) -> Image.Image:
    heads = ("the class as it is", "without the place", "other classes", "with the place")
    strips = []
    for head, pictures, answers in zip(heads, shortcut.examples, shortcut.answers, strict=True):
        tiles = []
        for pixels, answer in zip(pictures, answers, strict=True):
            whole = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3])
            name = answer if find_font(answer, SMALL) else "?"
            tiles.append(tile(framed(fitted(whole, SIDE), shortcut), [Line(name, INK)], SIDE))
        strips.append(_row(head, tiles))
    return _stacked(strips)


def _row(head: str, tiles: Sequence[Image.Image]) -> Image.Image:
    width = len(tiles) * (SIDE + GAP) - GAP if tiles else SIDE
    out = Image.new("RGB", (width, LINE + 4 + max((one.height for one in tiles), default=0)), GROUND)
    out.paste(heading([(head, SMALL, SOFT)], width), (0, 0))
    for at, one in enumerate(tiles):
        out.paste(one, (at * (SIDE + GAP), LINE + 4))
    return out


def _methods(shortcut: Shortcut, explanations: Sequence[Explanation], captions: Sequence[str]) -> Image.Image | None:
    if not explanations:
        return None
    side = 144
    tiles = []
    for explanation, caption in zip(explanations, captions, strict=True):
        one = explanation.rows([0])
        picture = framed(drawn(one, "image")[0].resize((side, side), Image.Resampling.LANCZOS), shortcut)
        tiles.append(tile(picture, [Line(explanation.method, INK), Line(caption)], side))
    rows = [tiles[start : start + METHOD_COLUMNS] for start in range(0, len(tiles), METHOD_COLUMNS)]
    height, width = tiles[0].height + GAP, METHOD_COLUMNS * (side + GAP) - GAP
    note = heading(
        [("where each method looks", BODY, INK), ("full colour: what 99.5 % of each map lies under", SMALL, SOFT)],
        width,
    )
    out = Image.new("RGB", (width, note.height + 4 + len(rows) * height), GROUND)
    out.paste(note, (0, 0))
    for down, row in enumerate(rows):
        for at, one in enumerate(row):
            out.paste(one, (at * (side + GAP), note.height + 4 + down * height))
    return out


def _stacked(strips: Sequence[Image.Image]) -> Image.Image:
    out = Image.new("RGB", (max(one.width for one in strips), sum(one.height for one in strips)), GROUND)
    top = 0
    for one in strips:
        out.paste(one, (0, top))
        top += one.height
    return out
